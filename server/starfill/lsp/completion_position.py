"""The position of a completion request, also while an entry of the editor's popup is selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starfill.code.brackets import CLOSER_OF, QUOTES
from starfill.lsp.documents.editor import Editor, Snapshot
from starfill.text.document import Change, Document
from starfill.text.joined_cells import JoinedCells
from starfill.text.position import Edit, Encoding

PAIRS = {opener + closer for opener, closer in CLOSER_OF.items()} | {quote * 2 for quote in QUOTES}


@dataclass(frozen=True, slots=True)
class CompletionPosition:
    """`offset` is in `document`, into which the popup's selected entry was inserted.

    snapshot: of the document as the editor has it. joined: `document` with the other cells of its notebook.
    selected: the popup's entry, as an edit of the snapshot's document. Suggestions must begin with its text, in its
        range.
    """

    snapshot: Snapshot
    document: Document
    joined: JoinedCells
    offset: int
    selected: Edit | None = None

    @classmethod
    def of(cls, editor: Editor, snapshot: Snapshot, offset: int, selected: Edit | None = None) -> CompletionPosition:
        if selected is None:
            return cls(snapshot, snapshot.document, snapshot.joined, offset)
        document = snapshot.document.replaced(selected.start, selected.end, selected.text)
        return cls(snapshot, document, editor.joined(document), selected.start + len(selected.text), selected)

    def fit(self, edit: Edit) -> Edit | None:
        """An edit of `joined.whole` as one of the snapshot's document.

        None if it reaches into other cells, or can't be expressed within the range of the selected entry.
        """
        own = self.joined.own(edit)
        if own is None or self.selected is None:
            return own
        start = self.selected.start
        replaced_after = self.document.slice(self.offset, own.end)
        if own.start < start or not own.text.endswith(replaced_after):
            return None
        text = self.document.slice(start, own.start) + own.text.removesuffix(replaced_after)
        if not text.startswith(self.selected.text) or text == self.selected.text:
            return None
        return Edit(start, self.selected.end, text)


def cursor_after(document: Document, changes: Sequence[Change], encoding: Encoding) -> int | None:
    """Where the cursor probably is after the changes that led to `document`; None if that can't be told.

    Behind the text of a single change; inside brackets and quotes that the editor has closed.
    """
    where, text = changes[0] if len(changes) == 1 else (None, "")
    if where is None:
        return None
    start = document.offset_at(min(where.start, where.end), encoding)
    return min(start + (1 if text in PAIRS else len(text)), len(document))
