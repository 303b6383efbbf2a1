"""A notebook's cell between the cells before it and after it, as one document: what a model sees of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starfill.text.document import Document
from starfill.text.position import Edit


@dataclass(frozen=True, slots=True)
class JoinedCells:
    """whole: all cells as one document, in which the cell has the `length` code points from `start` on."""

    whole: Document
    start: int
    length: int

    @classmethod
    def alone(cls, document: Document) -> JoinedCells:
        """A document that belongs to no notebook."""
        return cls(document, 0, len(document))

    @classmethod
    def among(cls, uri: str, before: Iterable[Document], cell: Document, after: Iterable[Document]) -> JoinedCells:
        """The cells of the notebook `uri`, with a blank line between them.

        Other blank cells are left out, so that it makes no difference whether they exist.

        Costs a little for each cell, and nothing for the length of their texts.
        """
        gap = Document.open("", "", 0, 2 * cell.eol)
        front = [each for document in before if not _is_blank(document) for each in (document, gap)]
        back = [each for document in after if not _is_blank(document) for each in (gap, document)]
        whole = Document.joined(uri, cell.language_id, cell.version, [*front, cell, *back])
        return cls(whole, sum(len(each) for each in front), len(cell))

    def own(self, edit: Edit) -> Edit | None:
        """An edit of the whole as an edit of the cell; None if it reaches beyond the cell."""
        if edit.start < self.start or edit.end > self.start + self.length:
            return None
        return Edit(edit.start - self.start, edit.end - self.start, edit.text)


_LOOK = 1_000  # characters: no cell begins with more blank ones


def _is_blank(document: Document) -> bool:
    return len(document) <= _LOOK and not document.text.strip()
