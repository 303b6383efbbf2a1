"""Polish over real code: a model that writes exactly what stood there, and runs on, is shown as what stood there."""

from __future__ import annotations

import argparse
import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from assist.toy import SPECIAL
from starfill.assist.completion.cursor_context import CursorContext, cursor_context_at
from starfill.assist.completion.fim_prompt import closers_at
from starfill.assist.completion.postprocess import postprocess
from starfill.assist.completion.stopping import Stopper
from starfill.text.document import Document
from starfill.text.position import Edit

SOURCES = [inspect.getsource(module).split("\n") for module in (argparse, ast, inspect, textwrap)]
Hole = tuple[str, str, str]  # before the cursor, what was taken out, after it


def end_of_line(lines: list[str], at: int, random: Random) -> Hole | None:
    line = lines[at]
    indent = len(line) - len(line.lstrip())
    if len(line) - indent < 6:
        return None
    cut = random.randrange(indent + 1, len(line) - 1)
    return "\n".join((*lines[:at], line[:cut])), line[cut:], "\n".join(("", *lines[at + 1 :]))


def within_a_line(lines: list[str], at: int, random: Random) -> Hole | None:
    line = lines[at]
    indent = len(line) - len(line.lstrip())
    if len(line) - indent < 12:
        return None
    start = random.randrange(indent + 1, len(line) - 6)
    end = random.randrange(start + 2, len(line) - 2)
    if not line[start:end].strip():
        return None
    return "\n".join((*lines[:at], line[:start])), line[start:end], "\n".join((line[end:], *lines[at + 1 :]))


def whole_lines(lines: list[str], at: int, random: Random) -> Hole | None:
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    end = at + random.randrange(1, 5)
    taken = "\n".join(lines[at:end])[len(indent) :]
    return ("\n".join((*lines[:at], indent)), taken, "\n".join(("", *lines[end:]))) if taken.strip() else None


def shown(hole: Hole, random: Random, runs_on: int = 300) -> str:
    """How the document comes out, against how it was."""
    before, taken, after = hole
    document, offset = Document.open("file:///a.py", "python", 1, before + after), len(before)
    place = cursor_context_at(document, offset, closers_at(document, offset), "auto", SPECIAL)
    text = generated(taken + after[:runs_on], place, random)
    edit, _ = postprocess(text, place, offset)
    if edit is None:
        return "nothing"
    result = document.replaced(edit.start, edit.end, edit.text).text
    if result.replace(" ", "") == (before + taken + after).replace(" ", ""):
        return "right"
    return "part" if taken.startswith(edit.text) and "\n" in taken else "wrong"


def generated(text: str, place: CursorContext, random: Random) -> str:
    stopper, end = Stopper(place), 0
    while end < len(text):
        piece = text[end : end + random.randint(1, 6)]
        end += len(piece)
        if stopper.feed(piece):
            break
    return text[:end]


@pytest.mark.parametrize(("take", "right"), [(end_of_line, 0.99), (within_a_line, 0.97), (whole_lines, 0.5)])
def test_what_stood_there_is_what_is_shown(take: Callable[[list[str], int, Random], Hole | None], right: float) -> None:
    random, outcomes = Random(11), Counter[str]()
    while outcomes.total() < 250:
        lines = random.choice(SOURCES)
        if hole := take(lines, random.randrange(5, len(lines) - 12), random):
            outcomes[shown(hole, random)] += 1
    assert outcomes["right"] >= right * outcomes.total(), outcomes
    assert outcomes["right"] + outcomes["part"] >= 0.95 * outcomes.total(), outcomes


BITS = [
    *("x", "foo", " ", "    ", "\t", "\n", "\n\n", "\r\n", "\r", "(", ")", "[", "]", "{", "}", "'", '"', '"""', "`"),
    *(":", ";", ",", "\\", "def f():", "class A:", "return x", "#", "//", "é", "😀", "\ufffd", "<fim_middle>", "..."),
]
PLACES = ["‸", "f(‸)\n", "def f():\n    ‸\n    return x\n", "\tx = '‸'\n\ty\n", "if (a) {‸}\r\nb\r\n", "x‸ = foo;\n"]


@pytest.mark.parametrize("seed", range(300))
def test_whatever_the_model_writes_what_is_shown_keeps_the_promises(seed: int) -> None:
    random = Random(seed)
    before, after = random.choice(PLACES).split("‸")
    text = "".join(random.choices(BITS, k=random.randint(0, 30)))
    document = Document.open("file:///a.py", "python", 1, before + after)
    closers = closers_at(document, len(before))
    place = cursor_context_at(document, len(before), closers, random.choice(("auto", "always", "never")), SPECIAL)
    edit, reason = postprocess(text, place, len(before), cut_short=random.random() < 0.3)
    assert (edit is None) == bool(reason)
    if edit is None:
        return
    assert isinstance(edit, Edit) and edit.text.strip()
    assert edit.start == len(before) <= edit.end <= len(before) + len(closers)
    assert "\ufffd" not in edit.text and not any(leak in edit.text for leak in SPECIAL)
    rest = edit.text.replace(document.eol, "")
    assert "\r" not in rest and "\n" not in rest
    if not place.multi_line:
        assert len([line for line in edit.text.split(document.eol) if line.strip()]) <= 1
