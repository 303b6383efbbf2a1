"""Where a part of a document is after other edits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starfill.text.document import Change, Document
from starfill.text.position import Encoding, Span
from starfill.util.common_prefix import common_prefix


def follow(span: Span, document: Document, changes: Sequence[Change], encoding: Encoding) -> Span | None:
    """Where `span` of `document` is after the changes of one `didChange`; None if one of them touched its inside.

    Text that is inserted exactly at either end is outside. If a change replaces more than it changes (at most the whole
    text), only the part that is new counts.
    """
    for change in changes:
        after = document.edited([change], document.version, encoding)
        moved = _moved(span, document, after, change, encoding)
        if moved is None or after.slice(moved.start, moved.end) != document.slice(span.start, span.end):
            return None
        span, document = moved, after
    return span


def _moved(span: Span, before: Document, after: Document, change: Change, encoding: Encoding) -> Span | None:
    for start, end in _replaced(before, change, encoding):
        if end <= span.start:
            by = len(after) - len(before)
            return Span(span.start + by, span.end + by)
        if start >= span.end:
            return span
    return None


def _replaced(document: Document, change: Change, encoding: Encoding) -> Iterator[tuple[int, int]]:
    """The code points that a change replaces: first all that it names; then those between a common beginning and end.

    If these two overlap ("aa" became "aaa"), the change may have been anywhere: as late as possible, then as early.
    """
    where, new = change
    start, end = 0, len(document)
    if where is not None:
        start, end = sorted((document.offset_at(where.start, encoding), document.offset_at(where.end, encoding)))
        yield start, end
    old = document.slice(start, end)
    shorter = min(len(old), len(new))
    head, tail = common_prefix(old, new), common_prefix(old[::-1], new[::-1])
    yield start + head, end - min(tail, shorter - head)
    yield start + min(head, shorter - tail), end - tail
