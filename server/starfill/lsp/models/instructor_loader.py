"""The instructor in the running server: loaded for the first action, dropped when another one is needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starfill.assist.instruct.actions import Action
from starfill.config.settings import Settings
from starfill.errors import ConsentError, StarfillError
from starfill.lsp.models.backend import AssistantProtocol, Backend, InstructorProtocol
from starfill.lsp.models.background_work import run_with_progress
from starfill.lsp.models.model_loader import ModelLoader
from starfill.lsp.models.status import Status
from starfill.text.document import Document
from starfill.text.position import Span
from starfill.util.daemon_thread import in_daemon_thread
from starfill.util.supersede import until_superseded

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer


class InstructorLoader:
    """Owns the instructor, which uses the model that completes, or the actions' own model (the setting instruct.model).

    If it can't be loaded, whoever asked gets a sentence. Completions go on, and the next action tries again.
    """

    def __init__(self, client: LanguageServer, backend: Backend, loader: ModelLoader, status: Status) -> None:
        self._client, self._backend, self._loader, self._status = client, backend, loader, status
        self._settings = Settings()
        self._task: asyncio.Task[InstructorProtocol] | None = None
        # while a question to the user is open; done when its answer doesn't matter any more
        self._moved_on: asyncio.Future[None] | None = None

    @property
    def loaded(self) -> InstructorProtocol | None:
        task = self._task
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()

    @property
    def why_not(self) -> str | None:
        """Why actions can't be carried out now. None also while their own model isn't loaded yet."""
        return None if self._settings.own_instruct_model or self._loader.assistant is not None else self._status.why_not

    def use(self, settings: Settings) -> None:
        """Configure or drop what is loaded. A load that is running notices by itself."""
        before, self._settings = self._settings, settings
        if self._moved_on is not None and not self._moved_on.done() and _model(before) != _model(settings):
            self._moved_on.set_result(None)
        if (loaded := self.loaded) is not None:
            if _model(before) == _model(settings):
                loaded.configure(settings)
                return
            self._task = None
            in_daemon_thread(loaded.close)
        if not settings.own_instruct_model:
            self._begin()  # costs no memory, and makes the first menu of actions as quick as the next ones

    async def get(self) -> InstructorProtocol:
        """The instructor, which is loaded if necessary. Raises StarfillError, with a sentence, if it can't be."""
        return await asyncio.shield(self._begin())

    def refusal(self, document: Document, selection: Span, action: Action) -> str | None:
        """Why that can't be asked about this selection; None if it can, or if that isn't known yet. Waits for
        nothing.
        """
        if (reason := self.why_not) is not None:
            return reason
        if (loaded := self.loaded) is not None:
            return loaded.refusal(document, selection, action)
        if not self._settings.own_instruct_model:
            self._begin()
        return None

    def forget(self, uri: str) -> None:
        """A document was closed."""
        if (loaded := self.loaded) is not None:
            loaded.forget(uri)

    def _begin(self) -> asyncio.Task[InstructorProtocol]:
        if self._task is None or (self._task.done() and self.loaded is None):
            self._task = asyncio.create_task(self._load())
            # marks an exception as retrieved
            self._task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._task

    async def _load(self) -> InstructorProtocol:
        """Load until the instructor is the one that is wanted: the settings may change meanwhile."""
        while True:
            await self._loader.settled()
            if (reason := self.why_not) is not None:
                raise StarfillError(reason)
            settings, beside = self._settings, self._loader.assistant
            try:
                instructor = await self._of(settings, beside)
            except ConsentError as needed:
                if await self._refused(needed):
                    raise
                continue
            if _model(settings) == _model(self._settings) and (
                settings.own_instruct_model or beside is self._loader.assistant
            ):
                if settings != self._settings:
                    instructor.configure(self._settings)
                return instructor
            in_daemon_thread(instructor.close)

    async def _refused(self, needed: ConsentError) -> bool:
        """Whether the user refuses that engine. It may become unnecessary before there is an answer."""
        self._moved_on = asyncio.get_running_loop().create_future()
        agreed = await until_superseded(self._moved_on, asyncio.ensure_future(self._loader.consents.agreed(needed)))
        return not agreed and not self._moved_on.done()

    async def _of(self, settings: Settings, beside: AssistantProtocol | None) -> InstructorProtocol:
        own = settings.own_instruct_model
        title, failed = (
            f"Starfill: loading {own}",
            f'The model "{own or settings.model}" could not be loaded for actions',
        )
        if settings.acts_remotely:
            title, failed = "Starfill: asking the engine", "The engine could not be asked"
        return await run_with_progress(
            self._client,
            title if own else None,  # otherwise nothing is read from disk
            lambda report: self._backend.load_instructor(settings, report, beside),
            failed,
        )


def _model(settings: Settings) -> tuple[object, ...]:
    """Determines whether another instructor is needed."""
    own = settings.own_instruct_model
    which = (own, settings.device) if own else ("", settings.model, settings.device, settings.family)
    return (*which, *settings.engine)
