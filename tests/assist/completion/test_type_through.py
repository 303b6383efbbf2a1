"""Typing through a suggestion: accepting the rest must lead to the same document as accepting all of it at once."""

from __future__ import annotations

from random import Random

import pytest

from assist.toy import doc
from starfill.assist.completion.type_through import shown, tail
from starfill.code.brackets import CLOSER_OF, auto_closed
from starfill.text.document import Document
from starfill.text.position import Edit

PIECES = [
    "a",
    "value",
    " ",
    "(",
    ")",
    "[x]",
    "{",
    "}",
    "'s'",
    '"',
    "\n",
    "\n    ",
    "é",
    "漢",
    "😀",
    ", ",
    " = ",
    "f(x)",
]


def accept(document: Document, edit: Edit) -> str:
    return document.replaced(edit.start, edit.end, edit.text).text


def typed_by_editor(document: Document, offset: int, char: str) -> tuple[Document, int]:
    """Types a character in an editor that closes brackets and steps over the closers it has inserted."""
    line = document.line_of(offset)
    left = document.slice(document.line_start(line), offset)
    right = document.slice(offset, document.line_end(line))
    if char in ")]}" and auto_closed(left, right).startswith(char):
        return document, offset + 1
    return document.replaced(offset, offset, char + CLOSER_OF.get(char, "")), offset + 1


@pytest.mark.parametrize("seed", range(60))
def test_typing_through_always_leaves_the_rest(seed: int) -> None:
    random = Random(seed)
    text = "".join(random.choices(PIECES, k=random.randint(1, 8))).rstrip()
    document, offset = doc(random.choice(("x = ‸\ny\n", "f(‸)\n", "‸", "'‸', é\n")))
    edit = Edit(offset, offset + random.randint(0, min(1, len(document.slice(offset, offset + 1).strip()))), text)
    suggestion, whole = shown(document, edit), accept(document, edit)
    for count in range(len(text) + 1):
        now = document.replaced(offset, offset, text[:count])
        rest = tail(suggestion, now, offset + count)
        if text[count:].strip() and (edit.start == edit.end or document.slice(offset, edit.end) in text[count:]):
            assert rest is not None and accept(now, rest) == whole and rest.text == text[count:]
        else:
            assert rest is None


THROUGH = [
    ("x = ‸\n", "f(a, g(b)) + 1"),
    ("x = ‸\n", "[f(a), {'b': c}]"),
    ("f(‸)\n", "a, (b, c)"),
    ("def f():\n    ‸\n", "return [x for x in y]"),
]


@pytest.mark.parametrize(("marked", "text"), THROUGH)
def test_typing_through_in_an_editor_that_closes_brackets(marked: str, text: str) -> None:
    document, offset = doc(marked)
    edit = Edit(offset, offset, text)
    suggestion, whole = shown(document, edit), accept(document, edit)
    for char in text:
        rest = tail(suggestion, document, offset)
        assert rest is not None and accept(document, rest) == whole
        document, offset = typed_by_editor(document, offset, char)
    assert tail(suggestion, document, offset) is None


def test_backspacing_over_typed_text_and_accepting_a_word() -> None:
    document, offset = doc("x = ‸\n")
    suggestion = shown(document, Edit(offset, offset, "value + result"))
    for count in (5, 8, 3, 0, 13):
        now = document.replaced(offset, offset, "value + result"[:count])
        assert tail(suggestion, now, offset + count) == Edit(offset + count, offset + count, "value + result"[count:])


REFUSED = [
    ("x = va‸\n", "typed something else", "x = vb‸\n"),
    ("x = va‸\n", "cursor moved back", "x =‸ va\n"),
    ("x = va‸\n", "cursor elsewhere", "x = va\n‸"),
    ("x = va‸\n", "changed on the left", "y = va‸\n"),
    ("x = va‸\n", "changed on the right", "x = va‸ \n"),
    ("x = va‸\n", "a line more above", "\nx = va‸\n"),
    ("x = va‸\n", "a foreign closer", "x = va‸]\n"),
    ("x = va‸\n", "accepted whole", "x = value(1)‸\n"),
    ("x = va‸\n", "backspaced further than the suggestion", "x ‸\n"),
]


@pytest.mark.parametrize(("still", "what", "now"), REFUSED)
def test_anything_but_typing_is_refused(still: str, what: str, now: str) -> None:
    document, offset = doc("x = ‸\n")
    suggestion = shown(document, Edit(offset, offset, "value(1)"))
    assert tail(suggestion, *doc(still)) is not None
    assert tail(suggestion, *doc(now)) is None, what


def test_a_replaced_closer_stays_replaced() -> None:
    document, offset = doc("f(‸)\n")
    suggestion = shown(document, Edit(offset, offset + 1, "x) + y"))
    assert tail(suggestion, *doc("f(x‸)\n")) == Edit(3, 4, ") + y")
    assert tail(suggestion, *doc("f(x)‸\n")) == Edit(4, 4, " + y")
