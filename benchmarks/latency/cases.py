"""Which models are measured, and how much of it; their weights in the forms that the systems read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from checkpoints.random_checkpoint import SHAPES, Layout, write
from latency.replay import Limit
from starfill.config.folders import BUNDLED

BUILD = Path(__file__).parents[2] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Case:
    """How one model is measured.

    shape: of random weights; "" for the bundled model. context: tokens of prompt and answer in the growing document.
    lengths: of that document, in tokens; keys: typed at each. cold: lengths of prompts that nothing is known of.
    asks: completions in the mixed trace, 0 for none; lines: of each of its ten documents.
    slow: what a system that keeps nothing is asked, since each key costs it a whole prompt.
    judged: this is the model for which there are bars.
    """

    name: str
    shape: str
    context: int
    lengths: tuple[int, ...]
    keys: int
    cold: tuple[int, ...]
    asks: int
    lines: int
    slow: Limit
    judged: bool = False

    @property
    def folder(self) -> Path:
        return BUNDLED if not self.shape else BUILD / self.shape / "gptq"

    @property
    def model(self) -> str:
        """As the setting `model` has it."""
        return str(self.folder) if self.shape else "bundled"

    def other_form(self, name: str) -> Path:
        return BUILD / (self.shape or "bundled") / name

    def shortened(self) -> Case:
        """To see that everything runs."""
        return replace(self, lengths=self.lengths[:2], keys=4, cold=self.cold[:1], asks=min(self.asks, 40))


CASES = {
    "bundled": Case("bundled", "", 1024, (250, 500, 750), 24, (250, 750), 240, 150, Limit(asks=1)),
    "1b": Case(
        "StarCoderBase-1B shape",
        "starcoderbase-1b",
        *(8192, (500, 1000, 2000, 4000, 8000), 8, (512, 2048, 4096)),
        *(60, 80, Limit(asks=1, longest=4200)),
        judged=True,
    ),
    "3b": Case(
        "StarCoderBase-3B shape",
        "starcoderbase-3b",
        *(8192, (500, 1000, 2000), 6, (512, 2048)),
        *(0, 80, Limit(asks=1, longest=1100)),
    ),
}


def checkpoint(case: Case) -> Path:
    """The GPTQ checkpoint: the bundled one, or random weights (4 bits, groups of 128, desc_act), written once."""
    return case.folder if not case.shape else once(case.folder, lambda folder: _random(case, folder))


def _random(case: Case, folder: Path) -> None:
    write(folder, SHAPES[case.shape], Layout(4, 128, desc_act=True))


def once(path: Path, make: Callable[[Path], object]) -> Path:
    """A file or folder that `make` writes if it isn't there; half of one never is."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        if partial.is_dir():  # of a run that broke off; a file is simply written anew
            shutil.rmtree(partial)
        make(partial)
        partial.rename(path)
    return path
