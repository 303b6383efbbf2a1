"""The last changes of the open documents, to find where a place in an earlier version is now."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from starfill.text.document import Change, Document
from starfill.text.position import Encoding, Span
from starfill.text.span_tracking import follow

KEPT = 64  # changes of a document; a menu of actions isn't open for longer
DocumentEdit = tuple[Document, Sequence[Change]]  # a document, and what one didChange did to it


class EditHistory:
    def __init__(self) -> None:
        self._steps: dict[str, deque[DocumentEdit]] = {}

    def changed(self, before: Document, changes: Sequence[Change]) -> None:
        steps = self._steps.setdefault(before.uri, deque(maxlen=KEPT))
        if any(where is None for where, _ in changes):
            steps.clear()  # without known changes, nothing is known to be equal in two versions
        steps.append((before, changes))

    def closed(self, uri: str) -> None:
        self._steps.pop(uri, None)

    def since(self, uri: str, version: int) -> list[DocumentEdit]:
        """The changes of a document since that version; none if that is too long ago, or never existed."""
        steps = list(self._steps.get(uri, ()))
        for first, (before, _) in enumerate(steps):
            if before.version == version:
                return steps[first:]
        return []


def followed(span: Span, steps: Sequence[DocumentEdit], encoding: Encoding) -> Span | None:
    """Where a span of the first step's document is after all steps; None if one of them touched it."""
    found: Span | None = span
    for before, changes in steps:
        found = follow(found, before, changes, encoding) if found is not None else None
    return found
