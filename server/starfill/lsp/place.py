"""The place where a suggestion is asked for, also while the editor's popup has an entry selected, or will be soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starfill.assist.brackets import CLOSER_OF, QUOTES
from starfill.text.document import Change, Document
from starfill.text.position import Edit, Encoding

PAIRS = {opener + closer for opener, closer in CLOSER_OF.items()} | {quote * 2 for quote in QUOTES}


@dataclass(frozen=True, slots=True)
class Place:
    """`offset` in `document`, which has the selected entry of the popup in it where there is one.

    shown: the document as the editor has it.
    selected: the popup entry, as an edit of `shown`; suggestions must extend its text and use its range.
    """

    document: Document
    offset: int
    shown: Document
    selected: Edit | None = None

    @classmethod
    def of(cls, shown: Document, offset: int, selected: Edit | None = None) -> Place:
        if selected is None:
            return cls(shown, offset, shown)
        document = shown.replaced(selected.start, selected.end, selected.text)
        return cls(document, selected.start + len(selected.text), shown, selected)

    def fit(self, edit: Edit) -> Edit | None:
        """An edit of `document` as one of `shown`; None when it can't be said within the selected entry's range."""
        if self.selected is None:
            return edit
        start = self.selected.start
        replaced_after = self.document.slice(self.offset, edit.end)
        if edit.start < start or not edit.text.endswith(replaced_after):
            return None
        text = self.document.slice(start, edit.start) + edit.text.removesuffix(replaced_after)
        if not text.startswith(self.selected.text) or text == self.selected.text:
            return None
        return Edit(start, self.selected.end, text)


def cursor_after(document: Document, changes: Sequence[Change], encoding: Encoding) -> int | None:
    """Where the cursor probably is after the changes that led to `document`; None where that can't be told.

    Behind the text of a single change; within brackets and quotes that the editor has closed.
    """
    where, text = changes[0] if len(changes) == 1 else (None, "")
    if where is None:
        return None
    start = document.offset_at(min(where.start, where.end), encoding)
    return min(start + (1 if text in PAIRS else len(text)), len(document))
