"""Target, rewrite, edits and check together on the standard library, with Python's own parser as the judge."""

from __future__ import annotations

import argparse
import ast
import heapq
import inspect
import json.decoder
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from starfill.assist.instruct.rewrite import fitted, given
from starfill.assist.instruct.target import target
from starfill.code.syntax import parses
from starfill.text.diff import line_edits
from starfill.text.document import Document, applied
from starfill.text.position import Span

MODULES = [argparse, heapq, json.decoder, shlex, textwrap]


def source(module: ModuleType, eol: str = "\n", tabs: bool = False) -> str:
    assert module.__file__
    text = Path(module.__file__).read_text(encoding="utf-8")
    return text.replace("    ", "\t" if tabs else "    ").replace("\n", eol)


def definitions(text: str) -> Iterator[tuple[int, int]]:
    """First and last line (from 0) of every function and class, with decorators and comments."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 1
            while first and lines[first - 1].lstrip().startswith("#"):
                first -= 1
            yield first, last_line(lines, node)


def last_line(lines: list[str], node: ast.stmt) -> int:
    """With the comments at the end of a body."""
    last = node.end_lineno - 1
    for at, line in enumerate(lines[last + 1 :], last + 1):
        comment = line.lstrip()
        if comment and (not comment.startswith("#") or len(line) - len(comment) <= node.col_offset):
            break
        last = at if comment else last
    return last


def without_margins(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = inspect.cleandoc(node.value)
    return ast.dump(tree)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_smallest_definition_around_a_line(module: ModuleType) -> None:
    text = source(module)
    document = Document.open("file:///a.py", "python", 1, text)
    all_of_them = list(definitions(text))
    for line in range(0, document.line_count, 61):
        around = [rows for rows in all_of_them if rows[0] <= line <= rows[1]]
        offset = document.line_start(line)
        found = target(document, Span(offset, offset))
        if not around:
            assert found is None, line
        else:
            first, last = min(around, key=lambda rows: rows[1] - rows[0])
            assert found == Span(document.line_start(first), document.line_end(last)), line


@pytest.mark.parametrize(("module", "eol", "tabs"), [(heapq, "\n", False), (heapq, "\r\n", True), (shlex, "\n", True)])
def test_a_rewrite_by_another_hand(module: ModuleType, eol: str, tabs: bool) -> None:
    text = source(module, eol, tabs)
    document = Document.open("file:///a.py", "python", 1, text)
    for first, last in definitions(source(module)):
        span = Span(document.line_start(first), document.line_end(last))
        old, seen = document.slice(span.start, span.end), given(document, span)
        assert fitted(seen, document, span) == old
        unparsed = ast.unparse(ast.parse(seen))
        edits = line_edits(old, fitted(unparsed, document, span), span.start)
        after = applied(document, edits).text
        assert parses(document, edits) is True
        assert without_margins(ast.parse(after)) == without_margins(ast.parse(text))
        assert after.count("\n") == after.count(eol)
        if tabs:
            assert not any(edit.text.startswith(" ") or f"{eol}    " in edit.text for edit in edits)
