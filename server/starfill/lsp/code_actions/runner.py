"""Runs a request: loads the model if necessary, counts the answer's tokens for the user, and can be stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lsprotocol import types

from starfill.assist.instruct.actions import actions_for
from starfill.assist.instruct.answer_stream import OnText
from starfill.assist.instruct.outcome import Instruction, Outcome
from starfill.assist.instruct.target import selected_lines
from starfill.code.definitions import definition_around
from starfill.errors import RequestError, StarfillError
from starfill.lsp.client.progress import WorkDoneProgress
from starfill.lsp.code_actions.listing import LAZY
from starfill.lsp.code_actions.request import ActionRequest
from starfill.lsp.code_actions.run import Run, Stopped
from starfill.lsp.documents.edit_history import EditHistory, followed
from starfill.lsp.documents.editor import Editor, Snapshot
from starfill.lsp.models.instructor_loader import InstructorLoader
from starfill.lsp.models.status import Status
from starfill.text.document import Change, Document
from starfill.text.position import Edit, Span
from starfill.util.daemon_thread import in_daemon_thread

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)

COUNTING = 0.1  # seconds between two reports of the number of tokens


@dataclass(frozen=True, slots=True)
class BoundRequest:
    """A request as it was when it came in: what to do with which part of which version of a document."""

    snapshot: Snapshot
    instruction: Instruction


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The outcome of an instruction. document: the present version. edits: of that version. model: the answer's
    author.
    """

    outcome: Outcome
    document: Document
    edits: tuple[Edit, ...]
    model: str


class Runner:
    """Called on the event loop only. Knows all running instructions, by document."""

    def __init__(self, client: LanguageServer, editor: Editor, instructors: InstructorLoader, status: Status) -> None:
        self._client, self._editor, self._instructors, self._status = client, editor, instructors, status
        self._runs: dict[str, set[Run]] = {}
        self._history = EditHistory()

    def bound(self, request: ActionRequest) -> BoundRequest:
        """Raises RequestError if the document or the action doesn't exist, or the range makes no sense."""
        snapshot = self._editor.snapshot(request.uri)
        if snapshot is None:
            raise RequestError(f"The document {request.uri} is not open.")
        document = snapshot.document
        action = request.chosen(actions_for(snapshot.settings, document.language_id), document.language_id)
        instruction = Instruction(document, self._selection(request, snapshot), action, request.problem)
        return BoundRequest(snapshot, instruction)

    def _selection(self, request: ActionRequest, snapshot: Snapshot) -> Span:
        """The selection, moved along with what was typed elsewhere since the actions were listed."""
        document, encoding = snapshot.document, snapshot.encoding
        if request.version in (None, document.version):
            return request.selection(document, encoding)
        steps = self._history.since(request.uri, request.version)
        selection = followed(request.selection(steps[0][0], encoding), steps, encoding) if steps else None
        if selection is None:
            raise RequestError(f"{request.uri} has changed there since its actions were listed; ask for them again.")
        return selection

    async def run(
        self,
        bound: BoundRequest,
        on_text: OnText = lambda text, tokens: None,
        token: types.ProgressToken | None = None,
    ) -> FinishedRun:
        """Carry out a request. Raises StarfillError, with a sentence, for every refusal; Stopped if nobody needs a
        message.

        token: of the client's own progress. Cancelling stops the model before its next token.
        """
        reason = self._editor.refusal(bound.instruction.document)
        if reason is not None:
            raise RequestError(reason)
        with self._status.busy():
            return await self._run(bound, on_text, token)

    async def _run(self, bound: BoundRequest, on_text: OnText, token: types.ProgressToken | None) -> FinishedRun:
        instruction, encoding = bound.instruction, bound.snapshot.encoding
        document, action = instruction.document, instruction.action
        code = selected_lines(document, instruction.selection) or instruction.selection
        run = Run(code, encoding, edits=action.placement in LAZY)
        progress = WorkDoneProgress(self._client, run.stop, token)
        progress.report(None, "reading")
        progress.start(action.title)
        self._runs.setdefault(document.uri, set()).add(run)
        try:
            outcome, model = await run.carry_out(self._instructed(instruction, _counted(progress, on_text)))
            now = self._editor.documents.get(document.uri)
            if now is None:
                raise Stopped
            return FinishedRun(outcome, now, run.moved(outcome), model)
        except (StarfillError, Stopped):
            raise
        except Exception as error:
            logger.exception("An action failed")
            raise StarfillError(f"internal error: {type(error).__name__}: {error}") from error
        finally:
            progress.end()
            self._runs[document.uri].discard(run)
            if not self._runs[document.uri]:
                del self._runs[document.uri]

    def changed(self, before: Document, changes: Sequence[Change]) -> None:
        """A document was changed."""
        self._history.changed(before, changes)
        for run in self._runs.get(before.uri, ()):
            run.changed(before, changes)

    def closed(self, uri: str) -> None:
        self._history.closed(uri)
        for run in self._runs.get(uri, ()):
            run.stop()

    async def _instructed(self, instruction: Instruction, on_text: OnText) -> tuple[Outcome, str]:
        instructor = await self._instructors.get()
        widened = replace(instruction, selection=await _widened(instruction))
        return await instructor.instruct(widened, on_text), instructor.info.name


async def _widened(instruction: Instruction) -> Span:
    """The selection; for a problem on one line, the function or class around it."""
    document, selection = instruction.document, instruction.selection
    if not instruction.problem or document.line_of(selection.start) != document.line_of(selection.end):
        return selection
    found = await asyncio.wrap_future(in_daemon_thread(lambda: definition_around(document, selection)))
    return found or selection


def _counted(progress: WorkDoneProgress, on_text: OnText) -> OnText:
    told = 0.0  # when

    def counted(text: str, tokens: int) -> None:
        nonlocal told
        if time.monotonic() - told >= COUNTING:
            told = time.monotonic()
            progress.report(None, "1 token" if tokens == 1 else f"{tokens} tokens")
        on_text(text, tokens)

    return counted
