"""The model in the running server: loaded in a thread, dropped when another one is wanted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from starfill.config.settings import Settings
from starfill.errors import ConsentError, EngineError, NotPulledError, StarfillError
from starfill.lsp.client.messages import show_message
from starfill.lsp.models.backend import AssistantProtocol, Backend
from starfill.lsp.models.background_work import run_with_progress
from starfill.lsp.models.consent import EngineConsents
from starfill.lsp.models.downloads import Downloader
from starfill.lsp.models.status import ServerStatus, State, Status
from starfill.util.daemon_thread import in_daemon_thread
from starfill.util.progress import OnProgress

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

RETRY_AFTER = 10.0  # seconds until an engine that can't be reached, or isn't allowed, is tried again


class ModelLoader:
    """Owns the assistant, which is None while no model is ready."""

    def __init__(self, client: LanguageServer, backend: Backend, status: Status) -> None:
        self._client, self._backend, self._status = client, backend, status
        self._settings = Settings()
        self._task: asyncio.Task[None] | None = None
        self._downloader = Downloader(client, backend)
        self._offers: dict[str, asyncio.Task[None]] = {}  # by repository, or origin of an engine; each is offered once
        self._downloads: dict[str, asyncio.Task[None]] = {}  # by repository, while they run
        self._failure: StarfillError | None = None  # the error of the last attempt
        self._retry: asyncio.Task[None] | None = None
        self.consents = EngineConsents(client, backend)
        self.assistant: AssistantProtocol | None = None

    def use(self, settings: Settings) -> None:
        """Load or configure what these settings ask for. Returns at once. Equal settings change nothing."""
        before, self._settings = self._settings, settings
        if self._task is None:
            self._task = asyncio.create_task(self._load())
        elif settings == before or not self._task.done():
            return
        elif self.assistant is not None and _same_model(before, settings):
            self.assistant.configure(settings)
            self._warn(self.assistant)
        else:
            self._task = asyncio.create_task(self._load())

    async def settled(self) -> None:
        """Wait until no model is being loaded."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    def pull(self, repository: str) -> None:
        """Download a repository, and load it if it is the model that is wanted. Returns at once.

        A second call during the download changes nothing.
        """
        repository = _canonical(repository)
        if repository not in self._downloads:
            self._downloads[repository] = asyncio.create_task(self._download(repository))

    def forget(self, uri: str) -> None:
        """A document or notebook was closed."""
        if self.assistant is not None:
            self.assistant.forget(uri)

    async def models(self) -> list[dict[str, Any]]:
        """The models that the setting `model` may name, for a client in which the user can choose."""
        choices = await asyncio.wrap_future(in_daemon_thread(self._backend.models))
        current = _canonical(self._settings.model)
        return [
            {"name": each.name, "where": each.where, "bytes": each.nbytes, "current": each.name == current}
            for each in choices
        ]

    async def _load(self, *, quietly: bool = False) -> None:
        """Load until the model is the one that is wanted: the settings may change meanwhile. quietly: the error was
        shown before.
        """
        old, self.assistant = self.assistant, None
        while True:
            settings = self._settings
            if not quietly:
                self._set_status("loading", "Asking the engine" if settings.completes_remotely else "Loading the model")
            loaded = await self._load_once(settings, old, quietly)
            if _same_model(settings, self._settings):
                break
            old = None if isinstance(loaded, StarfillError) else loaded
            quietly = False
        self._failure = loaded if isinstance(loaded, StarfillError) else None
        if isinstance(loaded, StarfillError):
            self._on_failure(loaded, quietly)
            return
        if self._settings != settings:
            loaded.configure(self._settings)
        self.assistant = loaded
        self._warn(loaded)
        self._on_trouble(loaded, None)
        loop = asyncio.get_running_loop()

        def on_trouble(trouble: str | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has ended
                loop.call_soon_threadsafe(self._on_trouble, loaded, trouble)

        loaded.watch(on_trouble)

    def _on_trouble(self, assistant: AssistantProtocol, trouble: str | None) -> None:
        """A remote engine fails, or works again: this is shown as the status, never as a message. A local engine goes
        on.
        """
        if assistant is not self.assistant:
            return
        info = assistant.info
        if trouble is None:
            self._status.set(ServerStatus("ready", "", info.name, info.device))
        elif not self._settings.completes_remotely:
            self._status.set(ServerStatus("ready", trouble, info.name, info.device))
            self._show(types.MessageType.Warning, trouble)
        elif (other := assistant.substitute) is not None:
            instead = f"{other.name} on this machine suggests instead: {trouble}"
            self._status.set(ServerStatus("ready", instead, other.name, other.device))
        else:
            self._status.set(ServerStatus("error", trouble, info.name, info.device))

    def _warn(self, assistant: AssistantProtocol) -> None:
        """Warn if the model can't follow one of the settings."""
        if assistant.problem is not None:
            self._show(types.MessageType.Warning, assistant.problem)

    async def _load_once(
        self, settings: Settings, old: AssistantProtocol | None, quietly: bool
    ) -> AssistantProtocol | StarfillError:
        """The assistant, or the error that says why there is none."""
        loop = asyncio.get_running_loop()

        def work(report: OnProgress) -> AssistantProtocol:
            def report_twice(fraction: float, message: str) -> None:
                report(fraction, message)
                loop.call_soon_threadsafe(self._status.progress, fraction)

            if old is not None:
                old.close()
            return self._backend.load(settings, report_twice)

        title, failed = "Starfill: loading the model", f'The model "{settings.model}" could not be loaded'
        if settings.completes_remotely:
            title, failed = "Starfill: asking the engine", "The engine could not be asked"
        try:
            return await run_with_progress(self._client, None if quietly else title, work, failed)
        except StarfillError as error:
            return error

    def _on_failure(self, error: StarfillError, quietly: bool) -> None:
        """Say why there is no model. If it could be downloaded, offer that."""
        repository = error.repository if isinstance(error, NotPulledError) else None
        if repository in self._downloads:
            self._set_status("loading", f"Downloading {repository}")
            return
        self._set_status("error", str(error))
        if isinstance(error, ConsentError):
            if error.origin not in self._offers:
                self._offers[error.origin] = asyncio.create_task(self._ask_consent(error))
        elif repository is None:
            if not (quietly and isinstance(error, EngineError)):
                self._show(types.MessageType.Error, str(error))
        elif repository not in self._offers:
            self._offers[repository] = asyncio.create_task(self._offer_download(repository, str(error)))
        if isinstance(error, (ConsentError, EngineError)):
            if self._retry is not None:
                self._retry.cancel()
            self._retry = asyncio.create_task(self._load_later(self._settings))

    async def _ask_consent(self, needed: ConsentError) -> None:
        agreed = await self.consents.agreed(needed)
        if agreed is None:
            self._show(types.MessageType.Error, str(needed))
        elif agreed:
            del self._offers[needed.origin]
            await self.settled()  # the attempt without the download
            if isinstance(self._failure, ConsentError) and self._failure.origin == needed.origin:
                self._task = asyncio.create_task(self._load())

    async def _load_later(self, settings: Settings) -> None:
        """The engine may be reachable soon, or be allowed on a command line."""
        await asyncio.sleep(RETRY_AFTER)
        if self._idle and settings == self._settings:
            self._task = asyncio.create_task(self._load(quietly=True))

    async def _offer_download(self, repository: str, sentence: str) -> None:
        try:
            agreed = await self._downloader.agreed(repository)
        except StarfillError as error:
            self._on_download_end(repository, error)
            return
        if agreed is None:
            self._show(types.MessageType.Error, sentence)
        elif agreed:
            self.pull(repository)

    async def _download(self, repository: str) -> None:
        if self._wants(repository):
            self._set_status("loading", f"Downloading {repository}")
        failure = None
        try:
            await self._downloader.pull(repository, partial(self._on_download_progress, repository))
        except StarfillError as error:
            failure = error
        if self._task is not None:
            await asyncio.wait([self._task])  # a load that began before the download ended
        del self._downloads[repository]
        self._on_download_end(repository, failure)

    def _on_download_progress(self, repository: str, fraction: float) -> None:
        if self._wants(repository):
            self._status.progress(fraction)

    def _on_download_end(self, repository: str, failure: StarfillError | None) -> None:
        """A download succeeded or failed: load the model, or show the error."""
        wanted = self._wants(repository)
        if failure is not None:
            if wanted:
                self._set_status("error", str(failure))
            self._show(types.MessageType.Error, str(failure))
        elif wanted:
            self._task = asyncio.create_task(self._load())
        else:
            self._show(types.MessageType.Info, f"{repository} is on this machine now; the setting model may name it")

    def _wants(self, repository: str) -> bool:
        """Whether the settings name this model, and none is loaded or being loaded."""
        return self._idle and _canonical(self._settings.model) == repository

    @property
    def _idle(self) -> bool:
        """Whether no model is loaded or being loaded, though one was tried."""
        return self._task is not None and self._task.done() and self.assistant is None

    def _set_status(self, state: State, message: str) -> None:
        settings = self._settings
        model, device = (
            (settings.engine_model, "") if settings.completes_remotely else (settings.model, settings.device)
        )
        self._status.set(ServerStatus(state, message, model, device))

    def _show(self, kind: types.MessageType, message: str) -> None:
        show_message(self._client, kind, message)


def _canonical(repository: str) -> str:
    return repository.removesuffix(":main")


def _same_model(one: Settings, other: Settings) -> bool:
    return (one.model, one.device, one.family, one.engine) == (other.model, other.device, other.family, other.engine)
