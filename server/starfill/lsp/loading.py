"""The model's life in the server: loaded in a thread, dropped when another one is asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from lsprotocol import types

from starfill.errors import StarfillError
from starfill.lsp.backend import Assistant, Backend
from starfill.lsp.progress import Progress
from starfill.lsp.status import Report, Status
from starfill.settings import Settings

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Loader:
    """Owns the assistant: None until a model is ready, and while there is none."""

    def __init__(self, client: LanguageServer, backend: Backend, status: Status) -> None:
        self._client, self._backend, self._status = client, backend, status
        self._settings = Settings()
        self._task: asyncio.Task[None] | None = None
        self._beginning: asyncio.Task[None] | None = None  # only kept alive
        self.assistant: Assistant | None = None

    def use(self, settings: Settings) -> None:
        """Load or configure what these settings ask for; returns at once. Equal settings change nothing."""
        before, self._settings = self._settings, settings
        if self._task is None:
            self._task = asyncio.create_task(self._load())
        elif settings == before or not self._task.done():
            return
        elif self.assistant is not None and _same_model(before, settings):
            self.assistant.configure(settings)
        else:
            self._task = asyncio.create_task(self._load())

    async def _load(self) -> None:
        """Until what is loaded is what is wanted: the settings may change meanwhile."""
        old, self.assistant = self.assistant, None
        while True:
            settings = self._settings
            self._status.set(Report("loading", "Loading the model", settings.model, settings.device))
            assistant, failure = await self._try(settings, old)
            if _same_model(settings, self._settings):
                break
            old = assistant
        if assistant is None:
            self._status.set(Report("error", failure, settings.model, settings.device))
            self._client.window_show_message(types.ShowMessageParams(types.MessageType.Error, f"Starfill: {failure}"))
            return
        if self._settings != settings:
            assistant.configure(self._settings)
        self.assistant = assistant
        self._status.set(Report("ready", "", assistant.info.name, assistant.info.device))

    async def _try(self, settings: Settings, old: Assistant | None) -> tuple[Assistant | None, str]:
        """The assistant, or the sentence that says why there is none."""
        progress = Progress(self._client)
        self._beginning = asyncio.create_task(progress.begin("Starfill: loading the model"))
        loop = asyncio.get_running_loop()

        def report(fraction: float, message: str) -> None:
            loop.call_soon_threadsafe(progress.report, fraction, message)

        def work() -> Assistant:
            if old is not None:
                old.close()
            return self._backend.load(settings, report)

        try:
            return await in_daemon_thread(work), ""
        except StarfillError as error:
            return None, str(error)
        except Exception as error:
            logger.exception("The model could not be loaded")
            return None, f'The model "{settings.model}" could not be loaded: {type(error).__name__}: {error}'
        finally:
            progress.end()


def _same_model(one: Settings, other: Settings) -> bool:
    return (one.model, one.device) == (other.model, other.device)


def in_daemon_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run blocking work in a thread of its own, which doesn't keep the process alive."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, name="starfill-load", daemon=True).start()
    return asyncio.wrap_future(done)
