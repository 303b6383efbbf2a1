"""Whether a document still parses after an edit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import dedent
from typing import TYPE_CHECKING

from starfill.code.definitions import definition_around
from starfill.code.languages import tree_of
from starfill.code.python_source import parsed
from starfill.text.document import Document, applied
from starfill.text.position import Edit, Span

if TYPE_CHECKING:
    from tree_sitter import Node


def parses(document: Document, edits: Sequence[Edit]) -> bool | None:
    """Whether the document parses after the edits (ascending, disjoint), apart from errors elsewhere.

    None if that can't be decided: the language has no parser, or there were errors around the edits before and there
    are after them. Costs O(document).
    """
    if not edits:
        return True
    if document.language_id == "python":
        answer = _parses_as_python(document, edits)
        if answer is not None:
            return answer
    return _parses_as_tree(document, edits)


def _parses_as_python(document: Document, edits: Sequence[Edit]) -> bool | None:
    """The same with Python's own parser: for the document, or for the function around the edits; None if neither parsed
    before.
    """
    after = applied(document, edits)
    if parsed(after.text) is not None:
        return True
    if parsed(document.text) is not None:
        return False
    around = definition_around(document, Span(edits[0].start, edits[-1].end))
    if around is None or parsed(dedent(document.slice(around.start, around.end))) is None:
        return None
    end = around.end + len(after) - len(document)
    return parsed(dedent(after.slice(around.start, end))) is not None


def _parses_as_tree(document: Document, edits: Sequence[Edit]) -> bool | None:
    after = applied(document, edits)
    new = tree_of(after.text, document.language_id)
    if new is None or not new.root_node.has_error:
        return None if new is None else True
    old = tree_of(document.text, document.language_id)
    assert old is not None
    errors, left = list(_errors(old.root_node)), list(_errors(new.root_node))
    first, last = document.line_of(edits[0].start), document.line_of(edits[-1].end)
    if _any_between(left, first, last + after.line_count - document.line_count):
        return None if _any_between(errors, first, last) else False
    return len(left) <= len(errors)


def _any_between(nodes: Sequence[Node], first: int, last: int) -> bool:
    """Whether one of the nodes has a row between `first` and `last`."""
    return any(node.start_point.row <= last and first <= node.end_point.row for node in nodes)


def _errors(root: Node) -> Iterator[Node]:
    """The nodes that don't parse, and those that are missing."""
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            nodes += node.children
