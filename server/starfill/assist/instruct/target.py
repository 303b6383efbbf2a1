"""The code an action is about: the selected lines, or the function or class around the cursor."""

from __future__ import annotations

from starfill.code.definitions import definition_around
from starfill.text.document import Document
from starfill.text.position import Span


def target(document: Document, selection: Span) -> Span | None:
    """The whole lines that an action on `selection` is about, without the last one's line end.

    A selection is widened to its lines; white space at its ends doesn't count. An empty selection means the smallest
    function or class around it, with its decorators and the comment right above. None if there is nothing.
    """
    if selection.start < selection.end:
        return selected_lines(document, selection)
    return definition_around(document, selection)


def selected_lines(document: Document, selection: Span) -> Span | None:
    """The selected lines; None if only white space is selected."""
    text = document.slice(selection.start, selection.end)
    if not text.strip():
        return None
    first = selection.start + len(text) - len(text.lstrip())
    last = selection.start + len(text.rstrip()) - 1
    return Span(document.line_start(document.line_of(first)), document.line_end(document.line_of(last)))
