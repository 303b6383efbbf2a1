"""The composition root: settings -> checkpoint -> engine -> assistant. Only the command line imports this module.

Heavy imports (torch) stand inside the functions that need them, so that `--help` and `initialize` answer at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from starfill.background import in_daemon_thread
from starfill.settings import Settings

if TYPE_CHECKING:
    from starfill.assist.assistant import Assistant
    from starfill.assist.family import Dialect
    from starfill.checkpoint.tokenizer import Tokenizer
    from starfill.engine.linear.packed_cache import PackedCache
    from starfill.engine.local import LocalEngine

Report = Callable[[float, str], None]
BUNDLED = Path(__file__).parent / "bundled" / "model"


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that is ready to answer jobs, and how to speak to it."""

    engine: LocalEngine
    tokenizer: Tokenizer
    dialect: Dialect
    settings: Settings

    def close(self) -> None:
        """Free the model; waits for the token being computed."""
        self.engine.close()


class LocalBackend:
    """Loads models on this machine, for the language server and the commands."""

    def load(self, settings: Settings, report: Report = lambda *_: None) -> Assistant:
        """An assistant over `open`, with the same errors."""
        opened = self.open(settings, report)
        from starfill.assist.assistant import Assistant

        return Assistant(opened.engine, opened.tokenizer, opened.dialect, settings)

    def open(self, settings: Settings, report: Report = lambda *_: None) -> Opened:
        """Blocks until the model is ready. Raises StarfillError with the sentence to show when it can't be used."""
        report(0.0, "starting torch")
        from starfill.assist.detect import detect
        from starfill.assist.family import Identity
        from starfill.checkpoint.config import read_config
        from starfill.checkpoint.special import read_special
        from starfill.checkpoint.tokenizer import Tokenizer
        from starfill.engine.loader import choose_device, load_model, parse_architecture
        from starfill.engine.local import LocalEngine
        from starfill.engine.placement import devices_of

        config = read_config(model_folder(settings.model))
        tokenizer = Tokenizer.from_folder(config.folder, parse_architecture(config).vocab_size)
        special = read_special(config, tokenizer)
        identity = Identity(
            architecture=config.model_type,
            special=tokenizer.special,
            chat_template=special.chat_template,
            name=shown_name(settings.model),
            declared=special.family,
            bos=special.bos,
            eos=special.eos,
        )
        dialect = detect(identity, settings.family)  # before minutes of repacking: do we know how to speak to it?
        device = choose_device(settings.device)
        devices = devices_of(config, device)
        # OpenMP keeps a pool of threads for each thread that has ever computed. With more of them than cores it lets
        # them sleep between operations, and decode takes three times as long: only the engine's thread may last.
        loaded = in_daemon_thread(
            lambda: load_model(config, device, packed_cache(), report, identity.name, devices)
        ).result()
        engine = LocalEngine(loaded.model, loaded.info, settings.cache_bytes)
        return Opened(engine, tokenizer, dialect, settings)

    def download_size(self, repository: str) -> str:
        """What `pull` would download, in words; asks the hub. Raises StarfillError when it can't be downloaded."""
        from starfill.checkpoint import hub, pull

        plan = pull.plan(hub.Repository.named(repository))
        return hub.amount(plan.nbytes - plan.done)

    def pull(self, repository: str, report: Report, stopped: Callable[[], bool]) -> None:
        """Blocks until the repository is in the cache. Raises StarfillError, also when `stopped` says so."""
        from starfill.checkpoint import hub, pull

        plan = pull.plan(hub.Repository.named(repository))
        size = hub.amount(plan.nbytes)
        pull.pull(
            plan,
            lambda done, name: report(done / plan.nbytes, f"{hub.amount(done)} of {size}, {name}"),
            stopped,
        )


def model_folder(model: str) -> Path:
    """The checkpoint folder that the setting `model` means; NotPulledError for a repository that isn't here."""
    from starfill.checkpoint.hub import resolve

    return BUNDLED if model == "bundled" else resolve(model)


def shown_name(model: str) -> str:
    from starfill.checkpoint.hub import shown

    return model if model == "bundled" else shown(model)


def packed_cache() -> PackedCache:
    from starfill.engine.linear.packed_cache import PackedCache

    return PackedCache(Path(platformdirs.user_cache_dir("starfill")) / "packed")
