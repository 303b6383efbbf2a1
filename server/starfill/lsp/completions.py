"""A completion request, from its snapshot to edits; and, for each document, why nothing was suggested."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from starfill.assist.completion.result import Completion, Figures
from starfill.errors import StarfillError
from starfill.lsp.completion_position import CompletionPosition
from starfill.lsp.documents.editor import Editor, Snapshot
from starfill.lsp.models.model_loader import ModelLoader
from starfill.lsp.models.status import SOON, Status
from starfill.lsp.statistics import Statistics
from starfill.text.position import Edit, Position, Range

CHANGED = "the document has changed since it was asked for"
CANCELLED = "cancelled by the editor"
NOTHING_ASKED = "nothing was asked for this document yet"
logger = logging.getLogger(__name__)


class Completions:
    """Called on the event loop only."""

    def __init__(self, editor: Editor, models: ModelLoader, status: Status, statistics: Statistics) -> None:
        self._editor, self._models, self._status, self._statistics = editor, models, status, statistics
        self._last: dict[str, Figures] = {}  # by document: the figures of the last request that wasn't superseded

    def position(
        self, uri: str, position: Position, selected: tuple[Range, str] | None = None
    ) -> CompletionPosition | None:
        """Where to complete in the present version of the document. None if nothing may be suggested; the reason is
        recorded.
        """
        snapshot = self._editor.snapshot(uri)
        reason = self._refusal(snapshot, uri, position)
        if snapshot is None or reason is not None:
            self._last[uri] = Figures(reason=reason)
            return None
        document, encoding = snapshot.document, snapshot.encoding
        offset = document.offset_at(position, encoding)
        if selected is None:
            return CompletionPosition.of(self._editor, snapshot, offset)
        where, text = selected
        start, end = sorted(document.offset_at(at, encoding) for at in (where.start, where.end))
        return CompletionPosition.of(self._editor, snapshot, offset, Edit(start, end, text))

    async def complete(self, at: CompletionPosition, *, automatic: bool) -> list[Edit]:
        """Suggestions as edits of the snapshot's document. None if the request failed or the document changed; the
        reason is recorded.
        """
        uri, document = at.document.uri, at.snapshot.document
        self._statistics.asked()
        completion = await self._asked(at, automatic)
        if completion.superseded:
            return []  # the newer request records what came of it
        figures, reason = completion.figures, None if self._editor.is_current(document) else CHANGED
        edits = [fitting for each in completion.items if (fitting := at.fit(each)) is not None]
        # meanwhile completions may have been turned off, or the document excluded
        reason = reason or self._editor.why_silent(uri)
        if reason is not None:
            figures, edits = Figures(reason=reason), []
        self._last[uri] = figures
        if edits:
            self._statistics.offered(uri, edits, reused=figures.source == "reuse")
        return edits

    async def _asked(self, at: CompletionPosition, automatic: bool) -> Completion:
        """The assistant's completion. For any failure an empty one, whose reason is the error's sentence."""
        assistant, whole = self._models.assistant, at.joined.whole
        nothing = partial(Completion, whole.uri, whole.version, ())
        if assistant is None:
            return nothing(Figures(reason=self._status.why_not))
        try:
            with self._status.busy(after=SOON):
                return await assistant.complete(whole, at.joined.start + at.offset, automatic=automatic)
        except asyncio.CancelledError:
            self._last[at.document.uri] = Figures(reason=CANCELLED)
            raise
        except StarfillError as error:
            return nothing(Figures(reason=str(error)))
        except Exception as error:
            logger.exception("A completion failed")
            return nothing(Figures(reason=f"internal error: {type(error).__name__}: {error}"))

    def accepted(self, uri: str) -> None:
        """A suggestion for this document was inserted."""
        self._statistics.accepted(uri, self._editor.documents.get(uri))
        if (assistant := self._models.assistant) is not None:
            assistant.accepted(self._editor.documents.home(uri))

    def closed(self, uri: str) -> None:
        self._last.pop(uri, None)
        self._statistics.closed(uri)

    def last(self, uri: str) -> Figures:
        """The figures of the last request for a document."""
        return self._last.get(uri) or Figures(reason=NOTHING_ASKED)

    def _refusal(self, snapshot: Snapshot | None, uri: str, position: Position) -> str | None:
        if snapshot is None:
            return f"the document {uri} is not open"
        if position.line >= snapshot.document.line_count:
            lines = snapshot.document.line_count
            return f"line {position.line} is outside the document, which has {lines} lines"
        if self._models.assistant is None:
            return self._status.why_not
        return self._editor.why_silent(uri)
