"""A part within its whole: the text around it, and edits on their way back."""

from __future__ import annotations

import random

import pytest

from starfill.text.document import Document
from starfill.text.joined_cells import JoinedCells
from starfill.text.position import Edit

URI = "file:///book.ipynb"


def document(text: str) -> Document:
    return Document.open(f"cell:{text[:9]}", "python", 3, text)


def among(before: list[str], own: str, after: list[str]) -> JoinedCells:
    return JoinedCells.among(URI, map(document, before), document(own), map(document, after))


@pytest.mark.parametrize(
    ("before", "own", "after", "text"),
    [
        ([], "", [], "[]"),
        ([], "a = 1", [], "[a = 1]"),
        (["import os"], "os.", [], "import os\n\n[os.]"),
        ([], "a", ["b", "c"], "[a]\n\nb\n\nc"),
        (["a", "b\n"], "", ["c"], "a\n\nb\n\n\n[]\n\nc"),
        (["", "a", " \n\t", ""], "", ["\n", "b", ""], "a\n\n[]\n\nb"),
        (["a"], "\n", ["b"], "a\n\n[\n]\n\nb"),
        (["a\r\nb"], "c\r\nd\r\n", ["e"], "a\r\nb\r\n\r\n[c\r\nd\r\n]\r\n\r\ne"),
        (["é😀"], "x\u2028y", ["z"], "é😀\n\n[x\u2028y]\n\nz"),
    ],
)
def test_what_is_around(before, own, after, text):
    part = among(before, own, after)
    whole, end = part.whole.text, part.start + part.length
    assert f"{whole[: part.start]}[{whole[part.start : end]}]{whole[end:]}" == text
    assert (part.whole.uri, part.whole.language_id, part.whole.version) == (URI, "python", 3)


def test_the_text_before_and_after_does_not_depend_on_which_part_is_asked_about():
    cells = ["import os", "", "def f():\n    pass", "f()"]
    wholes = {among(cells[:at], cells[at], cells[at + 1 :]).whole.text for at in (0, 2, 3)}
    assert wholes == {"import os\n\ndef f():\n    pass\n\nf()"}


@pytest.mark.parametrize(
    ("edit", "own"),
    [
        (Edit(11, 11, "x"), Edit(0, 0, "x")),
        (Edit(11, 14, "x"), Edit(0, 3, "x")),
        (Edit(14, 14, "x"), Edit(3, 3, "x")),
        (Edit(10, 11, "x"), None),
        (Edit(14, 15, "x"), None),
        (Edit(0, 20, ""), None),
        (Edit(16, 16, "x"), None),
    ],
)
def test_an_edit_stays_within_the_part(edit, own):
    part = among(["import os"], "os.", ["last"])
    assert part.start == 11
    assert part.own(edit) == own


def test_alone_a_document_is_its_whole():
    alone = document("a = 1\n")
    part = JoinedCells.alone(alone)
    assert part.whole is alone
    assert part.own(Edit(0, 6, "b")) == Edit(0, 6, "b")


def test_joined_equals_the_plain_definition():
    """Also where a line end, CR LF, meets across two documents."""
    chosen = random.Random(0)
    pieces = ["", "a", "\r", "\n", "\r\n", "é😀\n", "x" * 9_000, "line\n" * 3_000, "\u2028"]
    for _ in range(300):
        texts = chosen.choices(pieces, k=chosen.randrange(6))
        joined = Document.joined("u", "l", 1, map(document, texts))
        plain = Document.open("u", "l", 1, "".join(texts))
        assert joined.text == plain.text
        assert (len(joined), joined.line_count, joined.eol) == (len(plain), plain.line_count, plain.eol)
        for offset in chosen.choices(range(len(plain) + 1), k=5):
            assert joined.line_of(offset) == plain.line_of(offset)
            assert joined.slice(offset, offset + 50) == plain.slice(offset, offset + 50)
            assert joined.replaced(offset, offset, "new\r").text == plain.replaced(offset, offset, "new\r").text
