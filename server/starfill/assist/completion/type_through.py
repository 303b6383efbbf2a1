"""The rest of a suggestion that is being typed through is served without asking the model.

The user may type it, accept a word of it, have the editor close brackets, or delete characters again. One rule covers
all of these: accepting the rest must lead to exactly the document that accepting the whole suggestion would have led
to.
"""

from __future__ import annotations

from dataclasses import dataclass

from starfill.code.brackets import CLOSERS
from starfill.text.document import Document
from starfill.text.position import Edit

AROUND = 512  # characters to either side by which the place is recognised
MAX_CLOSERS = 16


@dataclass(frozen=True, slots=True)
class Shown:
    """A suggestion and where it stood. outside: the number of characters of the document that the edit doesn't
    touch.
    """

    edit: Edit
    left: str
    right: str
    outside: int


def shown(document: Document, edit: Edit) -> Shown:
    return Shown(
        edit=edit,
        left=document.slice(edit.start - AROUND, edit.start),
        right=document.slice(edit.end, edit.end + AROUND),
        outside=len(document) - (edit.end - edit.start),
    )


def tail(suggestion: Shown, document: Document, offset: int) -> Edit | None:
    """The rest of a suggestion at `offset`; None if anything else was typed."""
    start, text = suggestion.edit.start, suggestion.edit.text
    typed = document.slice(start, offset)
    closers_length = len(document) - suggestion.outside - len(typed)
    if offset < start or not text.startswith(typed) or not 0 <= closers_length <= MAX_CLOSERS:
        return None
    rest = text[len(typed) :]
    end = offset + closers_length
    if not rest.strip() or not _closes_in(rest, document.slice(offset, end)):
        return None
    around = document.slice(start - AROUND, start), document.slice(end, end + AROUND)
    return Edit(offset, end, rest) if around == (suggestion.left, suggestion.right) else None


def _closes_in(rest: str, closers: str) -> bool:
    """Whether `closers` are brackets and quotes that the rest of the suggestion contains too, in this order."""
    at = 0
    for mark in closers:
        at = rest.find(mark, at) + 1
        if mark not in CLOSERS or at == 0:
            return False
    return True
