"""Typing traces: deterministic, of every kind, and what is deleted to be typed again is all there in the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.trace import cold, growing, mixed, sources
from traces.typist import Change, Place, Typist, applied, end_of, inverse, text_between

KINDS = {
    *("open", "switch", "jump", "return", "character", "bracket", "backspace", "enter"),
    *("edit", "elsewhere", "accept", "undo", "finish"),
}


def replayed(trace):
    """The documents after all changes, as lists of lines."""
    documents = [text.split("\n") for text in trace.texts]
    for events in trace.rounds:
        for event in events:
            if event.change is not None:
                documents[event.document] = applied(documents[event.document], event.change)
            if event.cursor is not None:
                lines = documents[event.document]
                assert 0 <= event.cursor.character <= len(lines[event.cursor.line])
    return documents


def test_a_trace_follows_from_its_seed():
    texts = sources(3, 120)
    assert mixed(texts, 60, seed=1) == mixed(texts, 60, seed=1)
    assert mixed(texts, 60, seed=1) != mixed(texts, 60, seed=2)


def test_everything_that_editors_do_is_there_early():
    trace = mixed(sources(10, 150), 300)
    assert {event.kind for events in trace.rounds for event in events} == KINDS
    assert {event.document for events in trace.rounds for event in events} == set(range(10))
    few = mixed(sources(10, 150), 60)
    seen = {event.kind for events in few.rounds for event in events}
    assert "return" not in seen and len(KINDS - seen) <= 2  # each Python's own sources are typed
    assert 60 <= few.asks < 80


def test_typing_puts_everything_back():
    texts = sources(4, 150)
    trace = mixed(texts, 300)
    for before, after in zip(texts, replayed(trace), strict=True):
        assert [line for line in after if not line.startswith("# note")] == before


@pytest.mark.parametrize("lengths", [(500, 700, 1500), (400,)])
def test_a_growing_document_has_the_lengths_that_were_asked_for(lengths):
    trace = growing(lengths, keys=5, count=len)
    documents = [text.split("\n") for text in trace.texts]
    for length, events in zip(lengths, trace.rounds, strict=True):
        for event in events:
            if event.change is not None:
                documents[0] = applied(documents[0], event.change)
        assert length <= len("\n".join(documents[0])) <= length + 120
        assert [event.kind for event in events] == ["edit", "grow", *["character"] * 5, "finish"]
    assert replayed(trace) == documents


def test_cold_documents_share_no_beginning():
    trace = cold((300, 500), count=len)
    assert [300 <= len(text) <= 420 for text in trace.texts[:1]] == [True]
    assert trace.texts[0][:40] != trace.texts[1][:40]
    assert [event.kind for events in trace.rounds for event in events] == ["cold", "cold"]


def test_brackets_close_themselves_and_are_stepped_over():
    typist = Typist(0, ["    "], Place(0, 4), rest="f(a[1])")
    events = list(typist.type(7))
    assert [event.kind for event in events] == ["character", "bracket", "character", "bracket"] + ["character"] * 3
    assert [event.change is None for event in events] == [False] * 5 + [True] * 2
    assert typist.lines == ["    f(a[1])"]


def test_undo_takes_back_what_was_accepted_within_brackets():
    typist = Typist(0, ["x = "], Place(0, 4), rest="f(1, 2) + 3")
    list(typist.type(3))
    accept, undo = typist.accept_and_undo()
    assert accept.change == Change(Place(0, 7), Place(0, 8), ", 2) + 3")
    assert (undo.change, typist.lines) == (Change(Place(0, 7), Place(0, 15), ")"), ["x = f(1)"])
    typist.finish()
    assert typist.lines == ["x = f(1, 2) + 3"]


def test_brackets_of_a_finished_line_are_forgotten():
    typist = Typist(0, ["", "x"], Place(0, 0), rest="f(1)")
    list(typist.type(3))
    typist.finish()
    typist.cursor, typist.rest = Place(1, 1), ")"
    list(typist.type(1))
    assert typist.lines == ["f(1)", "x)"]


def test_enter_indents():
    typist = Typist(0, ["if x:"], Place(0, 5))
    enter = typist.enter("    y()")
    assert (typist.lines, enter.cursor, typist.rest) == (["if x:", "    "], Place(1, 4), "y()")


lines = st.lists(st.text("ab(", max_size=6), min_size=1, max_size=5)


@given(lines, st.data(), st.text("xy\n", max_size=8))
def test_inverse_takes_a_change_back(before, data, text):
    def place():
        line = data.draw(st.integers(0, len(before) - 1))
        return Place(line, data.draw(st.integers(0, len(before[line]))))

    start, end = sorted([place(), place()])
    change = Change(start, end, text)
    after = applied(before, change)
    assert "\n".join(after).startswith("\n".join(before)[: len(text_between(before, Place(0, 0), start))] + text)
    assert text_between(after, start, end_of(change)) == text
    assert applied(after, inverse(before, change)) == before
