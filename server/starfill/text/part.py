"""A text as part of a larger one: a cell of a notebook, say, between the cells before it and after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starfill.text.document import Document
from starfill.text.position import Edit


@dataclass(frozen=True, slots=True)
class Part:
    """The `length` code points from `start` on are the part's own."""

    whole: Document
    start: int
    length: int

    @classmethod
    def alone(cls, document: Document) -> Part:
        return cls(document, 0, len(document))

    @classmethod
    def among(cls, uri: str, before: Iterable[Document], part: Document, after: Iterable[Document]) -> Part:
        """A part of the document `uri`, whose parts have a blank line between them; blank ones of the others are left
        out, so that it makes no difference whether they are there.

        Costs a little for each part, but nothing for the length of their texts.
        """
        gap = Document.open("", "", 0, 2 * part.eol)
        front = [each for document in before if not _is_blank(document) for each in (document, gap)]
        back = [each for document in after if not _is_blank(document) for each in (gap, document)]
        whole = Document.joined(uri, part.language_id, part.version, [*front, part, *back])
        return cls(whole, sum(len(each) for each in front), len(part))

    def own(self, edit: Edit) -> Edit | None:
        """An edit of the whole as one of the part; None where it reaches beyond."""
        if edit.start < self.start or edit.end > self.start + self.length:
            return None
        return Edit(edit.start - self.start, edit.end - self.start, edit.text)


_LOOK = 1_000  # characters: nobody writes more blank ones into a part


def _is_blank(document: Document) -> bool:
    return len(document) <= _LOOK and not document.text.strip()
