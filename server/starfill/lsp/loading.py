"""The model's life in the server: loaded in a thread, dropped when another one is asked for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from starfill.background import in_daemon_thread
from starfill.errors import NotPulledError, StarfillError
from starfill.lsp.backend import Assistant, Backend
from starfill.lsp.backend import Report as LoadReport
from starfill.lsp.blocking import shown_work
from starfill.lsp.pulling import Puller
from starfill.lsp.status import Report, State, Status
from starfill.lsp.telling import tell
from starfill.settings import Settings

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer


class Loader:
    """Owns the assistant: None until a model is ready, and while there is none."""

    def __init__(self, client: LanguageServer, backend: Backend, status: Status) -> None:
        self._client, self._backend, self._status = client, backend, status
        self._settings = Settings()
        self._task: asyncio.Task[None] | None = None
        self._puller = Puller(client, backend)
        self._offers: dict[str, asyncio.Task[None]] = {}  # by repository; each is offered once
        self._pulls: dict[str, asyncio.Task[None]] = {}  # by repository, while they run
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
            self._warn(self.assistant)
        else:
            self._task = asyncio.create_task(self._load())

    async def settled(self) -> None:
        """Waits until no model is being loaded."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    def pull(self, repository: str) -> None:
        """Download a repository and load it, if it is the model that is wanted; returns at once.

        A second call while it is being downloaded changes nothing.
        """
        repository = _canonical(repository)
        if repository not in self._pulls:
            self._pulls[repository] = asyncio.create_task(self._pull(repository))

    async def models(self) -> list[dict[str, Any]]:
        """What the setting `model` may name, for a client that lets its user choose."""
        choices = await asyncio.wrap_future(in_daemon_thread(self._backend.models))
        current = _canonical(self._settings.model)
        return [
            {"name": each.name, "where": each.where, "bytes": each.nbytes, "current": each.name == current}
            for each in choices
        ]

    async def _load(self) -> None:
        """Until what is loaded is what is wanted: the settings may change meanwhile."""
        old, self.assistant = self.assistant, None
        while True:
            settings = self._settings
            self._status.set(Report("loading", "Loading the model", settings.model, settings.device))
            loaded = await self._try(settings, old)
            if _same_model(settings, self._settings):
                break
            old = None if isinstance(loaded, StarfillError) else loaded
        if isinstance(loaded, StarfillError):
            self._failed(loaded)
            return
        if self._settings != settings:
            loaded.configure(self._settings)
        self.assistant = loaded
        self._warn(loaded)
        self._status.set(Report("ready", "", loaded.info.name, loaded.info.device))

    def _warn(self, assistant: Assistant) -> None:
        """Say it when the model can't follow one of the settings."""
        if assistant.problem is not None:
            self._show(types.MessageType.Warning, assistant.problem)

    async def _try(self, settings: Settings, old: Assistant | None) -> Assistant | StarfillError:
        """The assistant, or the sentence that says why there is none."""

        loop = asyncio.get_running_loop()

        def work(report: LoadReport) -> Assistant:
            def told(fraction: float, message: str) -> None:
                report(fraction, message)
                loop.call_soon_threadsafe(self._status.progress, fraction)

            if old is not None:
                old.close()
            return self._backend.load(settings, told)

        failed = f'The model "{settings.model}" could not be loaded'
        try:
            return await shown_work(self._client, "Starfill: loading the model", work, failed)
        except StarfillError as error:
            return error

    def _failed(self, error: StarfillError) -> None:
        """Say why there is no model; offer to download it where that is what is missing."""
        repository = error.repository if isinstance(error, NotPulledError) else None
        if repository in self._pulls:
            self._tell("loading", f"Downloading {repository}")
            return
        self._tell("error", str(error))
        if repository is None:
            self._show(types.MessageType.Error, str(error))
        elif repository not in self._offers:
            self._offers[repository] = asyncio.create_task(self._offer(repository, str(error)))

    async def _offer(self, repository: str, sentence: str) -> None:
        try:
            agreed = await self._puller.agreed(repository)
        except StarfillError as error:
            self._ended(repository, error)
            return
        if agreed is None:
            self._show(types.MessageType.Error, sentence)
        elif agreed:
            self.pull(repository)

    async def _pull(self, repository: str) -> None:
        if self._wants(repository):
            self._tell("loading", f"Downloading {repository}")
        failure = None
        try:
            await self._puller.pull(repository, partial(self._pulling, repository))
        except StarfillError as error:
            failure = error
        if self._task is not None:
            await asyncio.wait([self._task])  # a load that began without what is here now
        del self._pulls[repository]
        self._ended(repository, failure)

    def _pulling(self, repository: str, fraction: float) -> None:
        if self._wants(repository):
            self._status.progress(fraction)

    def _ended(self, repository: str, failure: StarfillError | None) -> None:
        """A download has succeeded or failed: go on from there, or say it."""
        wanted = self._wants(repository)
        if failure is not None:
            if wanted:
                self._tell("error", str(failure))
            self._show(types.MessageType.Error, str(failure))
        elif wanted:
            self._task = asyncio.create_task(self._load())
        else:
            self._show(types.MessageType.Info, f"{repository} is on this machine now; the setting model may name it")

    def _wants(self, repository: str) -> bool:
        """Whether this is the model that the settings name, and nothing is loaded or being loaded."""
        idle = self._task is not None and self._task.done() and self.assistant is None
        return idle and _canonical(self._settings.model) == repository

    def _tell(self, state: State, message: str) -> None:
        self._status.set(Report(state, message, self._settings.model, self._settings.device))

    def _show(self, kind: types.MessageType, message: str) -> None:
        tell(self._client, kind, message)


def _canonical(repository: str) -> str:
    return repository.removesuffix(":main")


def _same_model(one: Settings, other: Settings) -> bool:
    return (one.model, one.device, one.family) == (other.model, other.device, other.family)
