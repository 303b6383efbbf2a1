"""Line edits: applied they give the new text, and they leave alone what is the same."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starfill.text.diff import line_edits, lines_of
from starfill.text.position import Edit
from text import naive

LINES = st.sampled_from(["", "a", "b", "    c", "}", "\x0c", "d\x85e", "\u2028", "f\x1cg"])
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])
LAST = st.sampled_from(["", "\n", "\r\n", "\r"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    return "".join(draw(st.lists(st.tuples(LINES, ENDS).map("".join)))) + draw(LINES) + draw(LAST)


def apply(old: str, edits: tuple[Edit, ...], at: int = 0) -> str:
    for edit in reversed(edits):
        old = old[: edit.start - at] + edit.text + old[edit.end - at :]
    return old


@pytest.mark.parametrize(
    ("old", "new", "edits"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", [Edit(2, 4, "B\n")]),
        ("a\nb\nc\n", "a\nb\nx\nc\n", [Edit(4, 4, "x\n")]),
        ("a\nb\nc\n", "a\nc\n", [Edit(2, 4, "")]),
        ("a\nb\nc\nd\ne\n", "A\nb\nc\nd\nE\n", [Edit(0, 2, "A\n"), Edit(8, 10, "E\n")]),
        ("a\r\nb\r\n", "a\r\nB\r\n", [Edit(3, 6, "B\r\n")]),
        ("a\rb\r", "a\rB\r", [Edit(2, 4, "B\r")]),
        ("a\x0cb\u2028c\nd\n", "a\x0cb\u2028c\nD\n", [Edit(6, 8, "D\n")]),
        ("a\n\nb\n", "a\n\nb\n", []),
        ("", "", []),
        ("a\nb", "a\nB", [Edit(2, 3, "B")]),
        ("a\nb", "a\nb\nc", [Edit(3, 3, "\nc")]),
        ("a\r\nb", "a\r\nb\r\nc\r\nd", [Edit(4, 4, "\r\nc\r\nd")]),
        ("a\r\nb", "a", [Edit(1, 4, "")]),
        ("a\nb", "b", [Edit(0, 2, "")]),
        ("a\nb\nc", "A\nb\nC", [Edit(0, 2, "A\n"), Edit(4, 5, "C")]),
        ("a\nb\nc", "A\nb", [Edit(0, 2, "A\n"), Edit(3, 5, "")]),
        ("a\nb", "a\nx\nb", [Edit(2, 2, "x\n")]),
        ("a\nb", "a\nb\n", [Edit(2, 3, "b\n")]),
        ("a\nb\n", "a\nb", [Edit(2, 4, "b")]),
        ("", "a", [Edit(0, 0, "a")]),
        ("a", "", [Edit(0, 1, "")]),
        ("", "a\n", [Edit(0, 0, "a\n")]),
        ("", "a\n\na", [Edit(0, 0, "a\n\na")]),
        ("x\n", "y\n\nz", [Edit(0, 2, "y\n\nz")]),
    ],
)
def test_edits(old: str, new: str, edits: list[Edit]) -> None:
    assert list(line_edits(old, new)) == edits
    assert apply(old, tuple(edits)) == new
    assert list(line_edits(old, new, at=7)) == [Edit(each.start + 7, each.end + 7, each.text) for each in edits]


@settings(deadline=None)
@given(texts(), texts(), st.integers(0, 3))
def test_applied_they_give_the_new_text(old: str, new: str, at: int) -> None:
    edits = line_edits(old, new, at)
    assert apply(old, edits, at) == new
    assert all(edit.start <= edit.end and (edit.text or edit.start < edit.end) for edit in edits)
    assert all(left.end < right.start for left, right in pairwise(edits))


@settings(deadline=None)
@given(texts(), texts(), texts(), texts())
def test_common_lines_at_both_ends_are_left_alone(head: str, old: str, new: str, tail: str) -> None:
    # With lines of their own: which of two blank ones is the new one, nobody knows.
    head, tail = f"{head}\nhead\n", f"\ntail\n{tail}"
    for edit in line_edits(head + old + tail, head + new + tail):
        assert len(head) <= edit.start
        assert edit.end <= len(head + old) + 1


@settings(deadline=None)
@given(texts(), texts())
def test_whole_lines_or_the_line_end_before_them(old: str, new: str) -> None:
    starts = {start for start, _ in naive.lines(old)} | {len(old)}
    bare_ends = {end for _, end in naive.lines(old)}
    for edit in line_edits(old, new):
        if edit.start in starts and edit.end in starts:
            assert not edit.text or edit.end == len(old) or edit.text.endswith(("\n", "\r"))
        else:
            assert edit.start in bare_ends
            assert edit.end == len(old)


@settings(deadline=None)
@given(texts())
def test_lines_are_the_documents_own(text: str) -> None:
    spans = naive.lines(text)
    whole = [text[start:following] for (start, _), (following, _) in pairwise(spans)]
    last = text[spans[-1][0] :]
    assert lines_of(text) == whole + [last] * bool(last)


def test_a_long_text_costs_little() -> None:
    old = "".join(f"    line {number}\n\n}}\n" for number in range(10_000))
    new = old.replace("line 15000\n", "new\n").replace("line 15\n", "new\n").replace("line 9990\n", "\n")
    same = "0,\n" * 5_000
    started = time.process_time()
    assert len(line_edits(old[:3_000], old[:3_000].replace("line 5", "Line 5"))) > 2
    assert apply(old, line_edits(old, new)) == new
    other = "".join("1,\n" if number % 7 == 0 else "0,\n" for number in range(5_000))
    assert apply(same, line_edits(same, other)) == other
    assert time.process_time() - started < 2
