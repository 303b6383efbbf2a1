"""One instruction while it is carried out: its code is followed through the document's changes; it can be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from starfill.assist.instruct.outcome import Outcome
from starfill.errors import RequestError
from starfill.lsp.documents.edit_history import Step, followed
from starfill.text.document import Change, Document
from starfill.text.position import Edit, Encoding, Span
from starfill.text.span_tracking import follow

T = TypeVar("T")

CHANGED = "the code was changed while the model was writing; nothing was done to it, ask again"


class Stopped(Exception):
    """The instruction came to nothing, and nobody needs to be told: the user has stopped it or closed the document."""


class Run:
    """code: what it is about, as far as that is known beforehand.

    edits: whether its outcome will change the document, so that nobody else may change that code meanwhile.
    """

    def __init__(self, code: Span, encoding: Encoding, *, edits: bool) -> None:
        self._encoding, self._edits = encoding, edits
        self._code: Span | None = code
        self._changes: list[Step] = []
        self._ended: Exception | None = None  # why, where that was not the caller's doing
        self._work: asyncio.Task[Any] | None = None

    async def carry_out(self, work: Coroutine[Any, Any, T]) -> T:
        """The result; RequestError or Stopped when it ended before. Cancelling this stops the work."""
        task: asyncio.Task[T] = asyncio.ensure_future(work)
        self._work = task
        if self._ended is not None:
            task.cancel()
        try:
            result = await task
        except asyncio.CancelledError:
            if self._ended is None:
                raise
        if self._ended is not None:  # also where that came too late to stop the work
            raise self._ended
        return result

    def stop(self) -> None:
        """By the user, or since the document was closed."""
        self._end(Stopped())

    def changed(self, before: Document, changes: Sequence[Change]) -> None:
        """The document was changed; where that touches the code, there is no use in going on."""
        if not self._edits:
            return
        self._changes.append((before, changes))
        if self._code is not None:
            self._code = follow(self._code, before, changes, self._encoding)
            if self._code is None:
                self._end(RequestError(CHANGED))

    def moved(self, outcome: Outcome) -> tuple[Edit, ...]:
        """The edits as they are now; RequestError when what they change or rest on has been changed meanwhile."""
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
