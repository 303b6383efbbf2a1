"""One instruction that is being carried out. Its code is followed through the document's changes, and it can be
stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from starfill.assist.instruct.outcome import Outcome
from starfill.errors import RequestError
from starfill.lsp.documents.edit_history import DocumentEdit, followed
from starfill.text.document import Change, Document
from starfill.text.position import Edit, Encoding, Span
from starfill.text.span_tracking import follow

T = TypeVar("T")

CHANGED = "the code was changed while the model was writing; nothing was done to it, ask again"


class Stopped(Exception):
    """The instruction ended early, and nobody needs a message: the user stopped it or closed the document."""


class Run:
    """code: what the instruction is about, as far as that is known before the answer.

    edits: whether the outcome will change the document. Only one such run may work on the same code.
    """

    def __init__(self, code: Span, encoding: Encoding, *, edits: bool) -> None:
        self._encoding, self._edits = encoding, edits
        self._code: Span | None = code
        self._changes: list[DocumentEdit] = []
        self._ended: Exception | None = None  # why it ended early, unless the caller cancelled it
        self._work: asyncio.Task[Any] | None = None

    async def carry_out(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. Raises RequestError or Stopped if the run ended early. Cancelling this cancels the
        work.
        """
        task: asyncio.Task[T] = asyncio.ensure_future(work)
        self._work = task
        if self._ended is not None:
            task.cancel()
        try:
            result = await task
        except asyncio.CancelledError:
            if self._ended is None:
                raise
        if self._ended is not None:  # also if that came too late to stop the work
            raise self._ended
        return result

    def stop(self) -> None:
        """The user stops it, or the document was closed."""
        self._end(Stopped())

    def changed(self, before: Document, changes: Sequence[Change]) -> None:
        """The document was changed. If that touches the code, the run ends."""
        if not self._edits:
            return
        self._changes.append((before, changes))
        if self._code is not None:
            self._code = follow(self._code, before, changes, self._encoding)
            if self._code is None:
                self._end(RequestError(CHANGED))

    def moved(self, outcome: Outcome) -> tuple[Edit, ...]:
        """The edits, moved to where they belong now. Raises RequestError if what they change or depend on was changed
        meanwhile.
        """
        first = min([outcome.span.start, *(edit.start for edit in outcome.edits)])
        span = Span(first, max([outcome.span.end, *(edit.end for edit in outcome.edits)]))
        now = followed(span, self._changes, self._encoding)
        if now is None:
            raise RequestError(CHANGED)
        by = now.start - first
        return tuple(Edit(edit.start + by, edit.end + by, edit.text) for edit in outcome.edits)

    def _end(self, why: Exception) -> None:
        self._ended = self._ended or why
        if self._work is not None:
            self._work.cancel()
