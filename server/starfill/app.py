"""The composition root: settings -> checkpoint -> engine -> assistant. Only the command line imports this module.

Heavy imports (torch) stand inside the functions that need them, so that `--help` and `initialize` answer at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from starfill.settings import Settings

if TYPE_CHECKING:
    from starfill.assist.assistant import Assistant
    from starfill.engine.linear.packed_cache import PackedCache

Report = Callable[[float, str], None]
BUNDLED = Path(__file__).parent / "bundled" / "model"


class LocalBackend:
    """Loads models on this machine, for the language server and the commands."""

    def load(self, settings: Settings, report: Report = lambda *_: None) -> Assistant:
        """Blocks until the model is ready. Raises StarfillError with the sentence to show when it can't be used."""
        report(0.0, "starting torch")
        from starfill.assist.assistant import Assistant
        from starfill.assist.family import detect
        from starfill.checkpoint.config import read_config
        from starfill.checkpoint.tokenizer import Tokenizer
        from starfill.engine.loader import choose_device, load_model, parse_architecture
        from starfill.engine.local import LocalEngine

        config = read_config(model_folder(settings.model))
        tokenizer = Tokenizer.from_folder(config.folder, parse_architecture(config).vocab_size)
        detect(tokenizer.special)  # before minutes of repacking: can this model fill in the middle at all?
        loaded = load_model(config, choose_device(settings.device), packed_cache(), report, shown_name(settings.model))
        engine = LocalEngine(loaded.model, loaded.info, settings.cache_bytes)
        return Assistant(engine, tokenizer, settings)


def model_folder(model: str) -> Path:
    """The checkpoint folder that the setting `model` means."""
    return BUNDLED if model == "bundled" else Path(model).expanduser()


def shown_name(model: str) -> str:
    return model if model == "bundled" else model_folder(model).name


def packed_cache() -> PackedCache:
    from starfill.engine.linear.packed_cache import PackedCache

    return PackedCache(Path(platformdirs.user_cache_dir("starfill")) / "packed")
