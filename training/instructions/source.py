"""Python text with its tree, edited at positions so that everything around an edit stays as a person wrote it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """Characters start..end are replaced by `text`."""

    start: int
    end: int
    text: str


class Source:
    """A text and its tree. Raises SyntaxError if it isn't Python."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.line_starts = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
        self.is_ascii = text.isascii()
        self.nodes = list(walk(self.tree))
        self.bodies = list(bodies(self.nodes))

    def offset(self, line: int, column: int) -> int:
        """Character offset of the tree's line (from 1) and column (in UTF-8 bytes)."""
        start = self.line_starts[line - 1]
        if self.is_ascii:
            return start + column
        end = self.line_starts[line] if line < len(self.line_starts) else len(self.text)
        return start + len(self.text[start:end].encode()[:column].decode())

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Where the node begins; a definition with decorators begins at the first one's @."""
        first = min([node, *getattr(node, "decorator_list", [])], key=lambda n: (n.lineno, n.col_offset))
        start = self.offset(first.lineno, first.col_offset)
        return start if first is node else self.text.rindex("@", 0, start)

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.offset(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.expr | ast.stmt) -> str:
        return self.text[self.start(node) : self.end(node)]

    def indent(self, node: ast.stmt) -> str:
        """The white space before a statement on its line; what stands there if it doesn't begin its line."""
        start = self.start(node)
        return self.text[self.text.rfind("\n", 0, start) + 1 : start]

    def replace(self, first: ast.expr | ast.stmt, last: ast.expr | ast.stmt, text: str) -> Edit:
        return Edit(self.start(first), self.end(last), text)

    def is_elif(self, node: ast.stmt) -> bool:
        return self.text.startswith("elif", self.start(node))

    def has_comment(self, first: ast.stmt, last: ast.stmt) -> bool:
        """True if a "#" stands between the two (in a string too: better to pass over one too many)."""
        return "#" in self.text[self.start(first) : self.end(last)]


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with the edits made; one that lies inside another is left out."""
    parts, done = [], 0
    for edit in sorted(edits, key=lambda e: (e.start, -e.end)):
        if edit.start >= done:
            parts += [text[done : edit.start], edit.text]
            done = edit.end
    return "".join([*parts, text[done:]])


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """The tree's nodes, but none inside an f-string: until Python 3.12 they have no positions of their own."""
    todo = [tree]
    for node in todo:
        yield node
        if not isinstance(node, ast.JoinedStr):
            todo += ast.iter_child_nodes(node)


def bodies(nodes: Iterable[ast.AST]) -> Iterator[list[ast.stmt]]:
    """Every list of statements that the nodes hold."""
    for node in nodes:
        for name in ("body", "orelse", "finalbody"):
            found = getattr(node, name, None)
            if isinstance(found, list) and found and isinstance(found[0], ast.stmt):
                yield found


def names(node: ast.AST) -> set[str]:
    """Every name that is read or written in the node, and the parameters of what is defined in it."""
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return found | {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}


def is_one_line(node: ast.expr | ast.stmt) -> bool:
    return node.lineno == node.end_lineno


def parenthesised(source: Source, node: ast.expr, loose: tuple[type[ast.expr], ...]) -> str:
    """The expression's text, in parentheses if it is one of the kinds that bind too loosely."""
    return f"({source.of(node)})" if isinstance(node, loose) else source.of(node)
