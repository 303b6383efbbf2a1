"""The function or class around a place in a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starfill.code.languages import LANGUAGES, Language, encoded, tree_of
from starfill.text.document import Document
from starfill.text.position import Span

if TYPE_CHECKING:
    from tree_sitter import Node

_ABOVE = frozenset({"comment", "line_comment", "block_comment", "attribute_item", "decorator"})
_WRAPPERS = frozenset(  # nodes that wrap one definition, and may begin on an earlier line
    {
        *("decorated_definition", "export_statement", "ambient_declaration", "template_declaration", "type_definition"),
        *("lexical_declaration", "variable_declaration", "variable_declarator", "assignment_statement"),
        *("assignment_expression", "expression_statement", "expression_list", "pair", "field"),
        *("field_definition", "public_field_definition", "short_var_declaration"),
    }
)
# the comment above their first line stands in front of them in the tree
_BODIES = frozenset({"block", "body_statement"})
_CALLS = frozenset({"arguments", "argument_list", "call_expression", "call", "expression_statement"})
_DEEPEST_WRAPPER = 6
_NEED_BODY = frozenset({"struct_specifier", "union_specifier", "enum_specifier", "class_specifier"})


def definition_around(document: Document, inside: Span) -> Span | None:
    """The lines of the smallest function or class that contains all lines of `inside`. Parses the document."""
    language = LANGUAGES.get(document.language_id)
    tree = tree_of(document.text, document.language_id)
    if language is None or tree is None:
        return None
    start, end = document.line_of(inside.start), document.line_of(inside.end)
    places = [
        (_point(document, inside.start), _point(document, inside.end)),
        (_point(document, document.line_start(start)), _point(document, document.line_start(end))),
    ]
    found = [rows for place in places if (rows := _smallest(_path(tree.root_node, *place), language, start, end))]
    if not found:
        return None
    first, last = min(found, key=lambda rows: rows[1] - rows[0])
    return Span(document.line_start(first), document.line_end(last))


def _path(root: Node, first: tuple[int, int], last: tuple[int, int]) -> list[Node]:
    """The nodes that contain two points, without the root, outermost first."""
    cursor = root.walk()
    path: list[Node] = []
    while cursor.goto_first_child_for_point(first) is not None:
        node = cursor.node
        if node is None or node.start_point > first or node.end_point < last:
            break
        path.append(node)
    return path


def _point(document: Document, offset: int) -> tuple[int, int]:
    """The row and byte column of an offset; of its line's first character for an offset in front of that."""
    row = document.line_of(offset)
    line = document.line_text(row)
    column = max(offset - document.line_start(row), len(line) - len(line.lstrip()))
    return row, len(encoded(line[:column]))


def _smallest(path: list[Node], language: Language, start: int, end: int) -> tuple[int, int] | None:
    """The rows of the innermost definition on a path that contains rows `start` to `end`.

    Functions without a name count only if there is no other definition.
    """
    for node in reversed(path):
        definition = _definition_in(_described_by(node), language)
        if definition is not None:
            rows = _rows(_whole(definition))
            if rows[0] <= start and end <= rows[1]:
                return rows
    unnamed = next((node for node in reversed(path) if node.type in language.anonymous), None)
    return _rows(_whole(unnamed, _WRAPPERS | _CALLS)) if unnamed else None


def _described_by(node: Node) -> Node:
    """The node that a comment, attribute or decorator belongs to; any other node itself."""
    while node.type in _ABOVE and node.next_sibling is not None:
        node = node.next_sibling
        if node.type in _BODIES and node.named_children:
            node = node.named_children[0]
    return node


def _definition_in(node: Node, language: Language) -> Node | None:
    """The definition that a node is, or that it only wraps."""
    level = [node]
    for _ in range(_DEEPEST_WRAPPER):
        found = next((each for each in level if _is_definition(each, language)), None)
        if found is not None:
            return found
        level = [child for each in level if each.type in _WRAPPERS for child in each.named_children]
    return None


def _is_definition(node: Node, language: Language) -> bool:
    """Whether the node is a definition with a body, or a function that is bound to a name; a value in a list only if it
    is long.
    """
    if node.type in language.anonymous:
        holder = node.parent.type if node.parent is not None else ""
        return holder in _WRAPPERS and (holder != "pair" or node.start_point.row < node.end_point.row)
    return node.type in language.definitions and (
        node.type not in _NEED_BODY or node.child_by_field_name("body") is not None
    )


def _whole(node: Node, wrappers: frozenset[str] = _WRAPPERS) -> Node:
    while node.parent is not None and node.parent.type in wrappers:
        node = node.parent
    return node


def _rows(node: Node) -> tuple[int, int]:
    """The first and last row of a node, with the comments, attributes and decorators right above it."""
    first, last = node.start_point.row, _last_row(node)
    while (above := _before(node)) is not None and above.type in _ABOVE and _last_row(above) + 1 >= first:
        earlier = _before(above)
        if earlier is not None and _last_row(earlier) == above.start_point.row:
            break  # a comment at the end of a line of code
        node, first = above, above.start_point.row
    return first, last


def _last_row(node: Node) -> int:
    return node.end_point.row - (node.end_point.column == 0)


def _before(node: Node) -> Node | None:
    """What stands before a node, also if the node is the first one within its parent."""
    while node.prev_sibling is None and node.parent is not None:
        node = node.parent
    return node.prev_sibling
