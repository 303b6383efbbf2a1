"""Where the cursor probably is after an edit."""

from __future__ import annotations

import pytest

from lsp.client import Client
from lsp.params import replace
from starfill.lsp.completion_position import cursor_after
from starfill.text.document import Change, Document
from starfill.text.position import Encoding, Position, Range


def at(line: int, start: int, end: int | None = None) -> Range:
    return Range(Position(line, start), Position(line, start if end is None else end))


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("x = \n", [(at(0, 4), "1")], 5),
        ("x = 12\n", [(at(0, 5, 6), "")], 5),  # backspace
        ("x = 12\n", [(Range(Position(0, 6), Position(0, 4)), "")], 4),  # the wrong way round
        ("f\n", [(at(0, 1), "()")], 2),  # within
        ("f\n", [(at(0, 1), '""')], 2),
        ("f\n", [(at(0, 1), "(]")], 3),
        ("a\nb\n", [(at(1, 1), "\n    ")], 8),
        ("'🦀'\n", [(at(0, 3), "é")], 3),  # UTF-16
        ("x", [(at(0, 99), "y")], 2),
        ("x", [(None, "y")], None),
        ("x\ny\n", [(at(0, 1), "1"), (at(1, 1), "2")], None),
        ("x", [], None),
    ],
)
def test_cursor_after(text: str, changes: list[Change], expected: int | None) -> None:
    document = Document.open("file:///a.py", "python", 1, text).edited(changes, 2, Encoding.UTF16)
    assert cursor_after(document, changes, Encoding.UTF16) == expected


def test_the_assistant_is_told(ready: Client) -> None:
    uri = "file:///cursor.py"
    ready.open(uri, "#cursor\nx")
    ready.change(uri, replace((1, 1), (1, 1), " = 1"))
    assert ready.inline(uri, 0, 0)[0]["insertText"] == "13"
    ready.change(uri, {"text": "#cursor\n"})
    assert ready.inline(uri, 0, 0)[0]["insertText"] == "13"  # it can't be told
