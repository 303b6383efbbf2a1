"""The composition root: settings -> checkpoint -> engine -> assistant and instructor. Only the command line imports it.

Heavy imports (torch) are inside the functions that need them, so that `--help` and `initialize` are answered at once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starfill.config import folders
from starfill.config.folders import BUNDLED
from starfill.config.settings import Settings
from starfill.errors import EngineError
from starfill.util.daemon_thread import in_daemon_thread
from starfill.util.progress import OnProgress, ignore

if TYPE_CHECKING:
    from starfill.assist.completion.assistant import Assistant
    from starfill.assist.completion.fallback import FallbackAssistant
    from starfill.assist.instruct.instructor import Instructor
    from starfill.assist.prompts.family import Dialect
    from starfill.checkpoint.tokenizer import CheckpointTokenizer
    from starfill.engine.loading.packed_cache import PackedCache
    from starfill.engine.scheduler import Scheduler
    from starfill.jobs import Engine, ModelInfo
    from starfill.lsp.models.backend import ModelChoice


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that is ready for jobs, and how to put prompts to it."""

    engine: Engine
    tokenizer: CheckpointTokenizer
    dialect: Dialect
    settings: Settings

    def close(self) -> None:
        """Free the model. Waits for the token being computed."""
        self.engine.close()


class LocalBackend:
    """Loads models on this machine, for the language server and the commands."""

    def load(self, settings: Settings, report: OnProgress = ignore) -> Assistant | FallbackAssistant:
        """An assistant over `open`, with the same errors; a `FallbackAssistant` if a local model stands in for an
        engine.
        """
        from starfill.assist.completion.fallback import FallbackAssistant

        if not settings.completes_remotely:
            return _assistant(self.open(settings, report), settings)
        first: Assistant | EngineError
        try:
            first = _assistant(self.open_engine(settings, report), settings)
        except EngineError as error:
            first = error
        if not settings.engine_latency_budget_ms:
            if isinstance(first, EngineError):
                raise first
            return first
        try:
            second = _assistant(self.open(settings, report), settings)
        except BaseException:
            if not isinstance(first, EngineError):
                first.close()
            raise
        return FallbackAssistant(first, second, settings, lambda: _assistant(self.open_engine(settings), settings))

    def load_instructor(
        self, settings: Settings, report: OnProgress = ignore, beside: object | None = None
    ) -> Instructor:
        """The instructor of the model that is set for it, with the errors of `open`.

        beside: the assistant that is loaded under these settings, if any. If its model is the same one, the two share
        it, and closing the instructor leaves it open.
        """
        from starfill.assist.completion.assistant import Assistant
        from starfill.assist.completion.fallback import FallbackAssistant
        from starfill.assist.instruct.instructor import Instructor

        own = settings.own_instruct_model
        if isinstance(beside, FallbackAssistant):
            beside = beside.remote if settings.acts_remotely else beside.local
        assistant = beside if isinstance(beside, Assistant) else None
        if assistant is not None and not own:
            return Instructor(assistant.engine, assistant.tokenizer, assistant.dialect, settings, owns_engine=False)
        if settings.acts_remotely:
            opened = self.open_engine(settings, report)
        else:
            chosen = replace(settings, model=own, family="auto") if own and own != settings.model else settings
            opened = self.open(chosen, report, assistant.info if assistant else None)
        return Instructor(opened.engine, opened.tokenizer, opened.dialect, settings)

    def open_engine(self, settings: Settings, report: OnProgress = ignore) -> Opened:
        """Blocks until the engine in the settings has described itself. Raises StarfillError with the sentence to show.

        ConsentError: it is on another machine and the user hasn't agreed to that.
        """
        from starfill.app.remote_engine import open_engine

        report(0.0, "Asking the engine")
        return Opened(*open_engine(settings, BUNDLED), settings)

    def open(self, settings: Settings, report: OnProgress = ignore, beside: ModelInfo | None = None) -> Opened:
        """Blocks until the model is ready. Raises StarfillError with the sentence to show if it can't be used.

        beside: the model that is loaded already, and has to fit into memory too.
        """
        report(0.0, "starting torch")
        from starfill.assist.prompts.detect import detect
        from starfill.assist.prompts.family import Identity
        from starfill.checkpoint.special import read_special
        from starfill.checkpoint.tokenizer import CheckpointTokenizer
        from starfill.engine.kv.disk_store import model_key
        from starfill.engine.loading.coresidency import check_fits
        from starfill.engine.loading.loader import choose_device, load_model
        from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
        from starfill.engine.loading.placement import devices_of
        from starfill.engine.local_engine import LocalEngine

        opened = OpenedCheckpoint.open(model_folder(settings.model))
        config = opened.config
        tokenizer = CheckpointTokenizer.from_folder(config.folder, opened.architecture.vocab_size)
        special = read_special(config.folder, tokenizer, config.model)
        identity = Identity(
            architecture=config.model_type,
            special=tokenizer.special,
            chat_template=special.chat_template,
            name=shown_name(settings.model),
            declared=special.family,
            bos=special.bos,
            eos=special.eos,
        )
        dialect = detect(identity, settings.family)  # before minutes of repacking, check that we know its prompts
        device = choose_device(settings.device)
        devices = devices_of(opened, device)
        if beside is not None:
            check_fits(opened, device, beside)
        # OpenMP keeps a pool of threads for each thread that has ever computed. With more of them than cores it lets
        # them sleep between operations, and decode takes three times as long. So only the engine's thread may last.
        loaded = in_daemon_thread(
            lambda: load_model(opened, device, packed_cache(), report, identity.name, devices)
        ).result()
        states = folders.saved_states(), model_key(config.folder, opened.weights.files, loaded.info)
        engine = LocalEngine(loaded.model, loaded.info, settings.cache_budget, the_scheduler(), states)
        _leave_out_of_garbage_collections()
        return Opened(engine, tokenizer, dialect, settings)

    def allow(self, origin: str) -> None:
        """See `lsp.backend.Backend`."""
        from starfill.config import allowed_engines

        allowed_engines.allow(origin)

    def models(self) -> list[ModelChoice]:
        """The models that could be loaded, or downloaded and then loaded. Reads folders, and contacts nobody."""
        from starfill.checkpoint import hub
        from starfill.checkpoint.published import PUBLISHED
        from starfill.lsp.models.backend import ModelChoice

        pulled = {str(each.repository): each.nbytes for each in hub.pulled() if each.lacking is None}
        bundled = ModelChoice("bundled", "bundled", sum(file.stat().st_size for file in BUNDLED.iterdir()))
        here = [ModelChoice(name, "here", nbytes) for name, nbytes in pulled.items()]
        known = [ModelChoice(name, "known", nbytes) for name, nbytes in PUBLISHED.items() if name not in pulled]
        return [bundled, *here, *known]

    def download_size(self, repository: str) -> str:
        """The size of what `pull` would download, in words. Contacts the hub. Raises StarfillError if it can't be
        downloaded.
        """
        from starfill.checkpoint import hub, pull

        plan = pull.plan(hub.Repository.named(repository))
        return hub.amount(plan.nbytes - plan.done)

    def pull(self, repository: str, report: OnProgress, stopped: Callable[[], bool]) -> None:
        """Blocks until the repository is in the cache. Raises StarfillError, also when `stopped` says so."""
        from starfill.checkpoint import hub, pull

        plan = pull.plan(hub.Repository.named(repository))
        size = hub.amount(plan.nbytes)
        pull.pull(
            plan,
            lambda done, name: report(done / plan.nbytes, f"{hub.amount(done)} of {size}, {name}"),
            stopped,
        )


def _assistant(opened: Opened, settings: Settings) -> Assistant:
    from starfill.assist.completion.assistant import Assistant

    return Assistant(opened.engine, opened.tokenizer, opened.dialect, settings)


@cache
def the_scheduler() -> Scheduler:
    """The scheduler of this process, whose thread computes for all models. It lasts, and with it the one pool of
    OpenMP.
    """
    from starfill.engine.scheduler import Scheduler

    return Scheduler()


def _leave_out_of_garbage_collections() -> None:
    """Exempt the objects that exist now: they stay for long, and there are 200,000, most of them torch's.

    A full collection walks through all of them and blocks everything for 90 ms, in the middle of a keystroke.
    """
    gc.unfreeze()
    gc.collect()  # what the model before this one left behind
    gc.freeze()


def model_folder(model: str) -> Path:
    """The checkpoint folder that the setting `model` means. Raises NotPulledError for a repository that isn't here."""
    from starfill.checkpoint.hub import resolve

    return BUNDLED if model == "bundled" else resolve(model)


def shown_name(model: str) -> str:
    from starfill.checkpoint.hub import shown

    return model if model == "bundled" else shown(model)


def packed_cache() -> PackedCache:
    from starfill.engine.loading.packed_cache import PackedCache

    return PackedCache(folders.packed_weights())
