"""Ghosts, changes and words, without a screen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfill.demo import status_text
from starfill.demo.change import TextChange, change
from starfill.demo.ghost_text import Ghost
from starfill.text.document import Document
from starfill.text.position import Encoding, Position, Range

LINES = st.lists(st.text("ab ", max_size=4), min_size=1, max_size=5)


@given(LINES, LINES, st.data())
def test_a_change_makes_one_text_the_other(before, after, data):
    row = data.draw(st.integers(0, len(after) - 1))
    made = change(before, after, (row, data.draw(st.integers(0, len(after[row])))))
    text = Document.open("", "", 1, "\n".join(before))
    if made is not None:
        where = Range(Position(*made.start), Position(*made.end))
        text = text.edited([(where, made.text)], 2, Encoding.UTF32)
    assert text.text == "\n".join(after)
    assert (made is None) == (before == after)


@pytest.mark.parametrize(
    ("before", "after", "cursor", "made"),
    [
        (["f()"], ["f())"], (0, 3), TextChange((0, 2), (0, 2), ")")),
        (["f()"], ["f())"], (0, 4), TextChange((0, 3), (0, 3), ")")),
        (["aaa"], ["aa"], (0, 1), TextChange((0, 1), (0, 2), "")),
        (["a", "", "b"], ["a", "", "", "b"], (1, 0), TextChange((0, 1), (0, 1), "\n")),
        (["a", "b"], ["ab"], (0, 1), TextChange((0, 1), (1, 0), "")),
        (["x"] * 9, ["x"] * 4 + ["new"] + ["x"] * 4, (4, 3), TextChange((4, 0), (4, 1), "new")),
    ],
)
def test_the_cursor_tells_which_of_equal_characters_it_was(before, after, cursor, made):
    assert change(before, after, cursor) == made


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("range(10)", "range"),
        ("(10)", "("),
        (" in x", " in"),
        ("\n    return x", "\n    return"),
        ("):", "):"),
        ("  ", "  "),
        ("é_1 = 2", "é_1"),
    ],
)
def test_the_next_word(text, word):
    assert Ghost(text).word == word


def test_typing_through():
    ghost = Ghost("text'", over=1)
    assert ghost.without("te") == Ghost("xt'", over=1)
    assert ghost.without("x") is None
    assert ghost.without("text'") is None
    assert ghost.without("") is None


FIGURES = {"reason": None, "computedTokens": 3, "cachedTokens": 340, "prefillMs": 12.4, "totalMs": 51.6}


def test_how_a_suggestion_came():
    assert (
        status_text.how(FIGURES | {"source": "model"})
        == "first token 12 ms, whole 52 ms: 3 computed, 340 cached tokens"
    )
    assert status_text.how(FIGURES | {"source": "reuse"}) == "typed through: no model call"
    assert status_text.how(FIGURES | {"source": "prepared"}) == "prepared while you were not typing: no model call"
    assert status_text.how(FIGURES | {"source": "none", "reason": "too long"}) == "no suggestion: too long"


def test_the_state():
    report = {"state": "ready", "message": "", "model": "bundled", "device": "cpu"}
    assert status_text.state(report) == "ready: bundled on cpu"
    assert status_text.state(report | {"state": "paused"}) == "paused: bundled on cpu"
    assert status_text.state(report | {"state": "loading", "progress": 0.4}) == "loading 40 %: bundled on cpu"
    assert status_text.state(report | {"state": "error", "message": "no config.json"}) == "error: no config.json"
