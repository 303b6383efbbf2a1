"""From an order to its outcome: the model loaded if need be, its tokens counted for the user, stopped on demand."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsprotocol import types

from starfill.assist.instruct.actions import Action, actions_for
from starfill.assist.instruct.outcome import Outcome, Request
from starfill.assist.instruct.target import definition_around, selected_lines
from starfill.background import in_daemon_thread
from starfill.errors import RequestError, StarfillError
from starfill.lsp.instruct.history import History, followed
from starfill.lsp.instruct.instructors import Instructors
from starfill.lsp.instruct.listing import LAZY
from starfill.lsp.instruct.order import Order
from starfill.lsp.instruct.run import Run, Stopped
from starfill.lsp.progress import Progress
from starfill.text.document import Change, Document
from starfill.text.position import Edit, Span

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

    from starfill.lsp.session import Session

logger = logging.getLogger(__name__)

OnText = Callable[[str, int], None]
PAUSE = 0.1  # seconds between two counts of tokens


@dataclass(frozen=True, slots=True)
class Task:
    """An order that was understood: what to do with which part of which version of a document."""

    action: Action
    document: Document
    selection: Span
    problem: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a task came to. document: as it is now. edits: of that. model: who has written it."""

    outcome: Outcome
    document: Document
    edits: tuple[Edit, ...]
    model: str


class CarryingOut:
    """Event loop only. Knows all tasks that are running, by document."""

    def __init__(self, client: LanguageServer, session: Session, instructors: Instructors) -> None:
        self._client, self._session, self._instructors = client, session, instructors
        self._runs: dict[str, set[Run]] = {}
        self._history = History()

    def understood(self, order: Order) -> Task:
        """RequestError where the document or the action is not there, or the range can't be meant."""
        document = self._session.snapshot(order.uri)
        if document is None:
            raise RequestError(f"The document {order.uri} is not open.")
        action = order.chosen(actions_for(self._session.settings, document.language_id), document.language_id)
        return Task(action, document, self._selection(order, document), order.problem)

    def _selection(self, order: Order, document: Document) -> Span:
        """What is selected, moved along with what has been typed elsewhere since the order was made."""
        encoding = self._session.encoding
        if order.version in (None, document.version):
            return order.selection(document, encoding)
        steps = self._history.since(order.uri, order.version)
        selection = followed(order.selection(steps[0][0], encoding), steps, encoding) if steps else None
        if selection is None:
            raise RequestError(f"{order.uri} has changed there since its actions were listed; ask for them again.")
        return selection

    async def outcome(
        self, task: Task, on_text: OnText = lambda text, tokens: None, token: types.ProgressToken | None = None
    ) -> Done:
        """Carries it out. StarfillError with the sentence for every refusal; Stopped where nobody needs to be told.

        token: of the client's own progress. Cancelling stops the model before its next token.
        """
        reason = self._session.excluded(task.document)
        if reason is not None:
            raise RequestError(reason)
        with self._session.status.busy():
            return await self._outcome(task, on_text, token)

    async def _outcome(self, task: Task, on_text: OnText, token: types.ProgressToken | None) -> Done:
        uri = task.document.uri
        code = selected_lines(task.document, task.selection) or task.selection
        run = Run(code, self._session.encoding, edits=task.action.placement in LAZY)
        progress = Progress(self._client, run.stop, token)
        progress.report(None, "reading")
        progress.start(task.action.title)
        self._runs.setdefault(uri, set()).add(run)
        try:
            outcome, model = await run.carry_out(self._instructed(task, _counted(progress, on_text)))
            document = self._session.snapshot(uri)
            if document is None:
                raise Stopped
            return Done(outcome, document, run.moved(outcome), model)
        except (StarfillError, Stopped):
            raise
        except Exception as error:
            logger.exception("An action failed")
            raise StarfillError(f"internal error: {type(error).__name__}: {error}") from error
        finally:
            progress.end()
            self._runs[uri].discard(run)
            if not self._runs[uri]:
                del self._runs[uri]

    def changed(self, before: Document, changes: Sequence[Change]) -> None:
        """A document was changed."""
        self._history.changed(before, changes)
        for run in self._runs.get(before.uri, ()):
            run.changed(before, changes)

    def closed(self, uri: str) -> None:
        self._history.closed(uri)
        for run in self._runs.get(uri, ()):
            run.stop()

    async def _instructed(self, task: Task, on_text: OnText) -> tuple[Outcome, str]:
        instructor = await self._instructors.get()
        request = Request(task.document, await _place(task), task.action, task.problem)
        return await instructor.instruct(request, on_text), instructor.info.name


async def _place(task: Task) -> Span:
    """What is selected; but a problem on one line is put to the model with the function or class around it."""
    document, selection = task.document, task.selection
    if not task.problem or document.line_of(selection.start) != document.line_of(selection.end):
        return selection
    found = await asyncio.wrap_future(in_daemon_thread(lambda: definition_around(document, selection)))
    return found or selection


def _counted(progress: Progress, on_text: OnText) -> OnText:
    told = 0.0  # when

    def counted(text: str, tokens: int) -> None:
        nonlocal told
        if time.monotonic() - told >= PAUSE:
            told = time.monotonic()
            progress.report(None, "1 token" if tokens == 1 else f"{tokens} tokens")
        on_text(text, tokens)

    return counted
