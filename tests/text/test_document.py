"""Documents by example; `test_document_property.py` compares them with two oracles."""

import sys
import time
from collections.abc import Callable

import pytest

from starfill.text.document import Document
from starfill.text.pieces import MAX
from starfill.text.position import Encoding, Position, Range

U8, U16, U32 = Encoding.UTF8, Encoding.UTF16, Encoding.UTF32


def doc(text: str) -> Document:
    return Document.open("file:///a.py", "python", 1, text)


def at(line: int, character: int) -> Range:
    return Range(Position(line, character), Position(line, character))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a\n", ["a", ""]),
        ("a\r\nb\rc\nd", ["a", "b", "c", "d"]),
        ("\r\r\n\n", ["", "", "", ""]),
        ("a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g", ["a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"]),
    ],
)
def test_lines(text, lines):
    document = doc(text)
    assert [document.line_text(line) for line in range(document.line_count)] == lines


@pytest.mark.parametrize("line", [-1, 2, 10**9])
def test_a_line_that_is_not_there(line):
    with pytest.raises(IndexError, match="of a document of 2 lines"):
        doc("a\nb").line_start(line)


@pytest.mark.parametrize(
    ("text", "eol"),
    [("", "\n"), ("a", "\n"), ("a\nb\r\n", "\n"), ("a\r\nb\r\nc\n", "\r\n"), ("a\rb\rc\n", "\r"), ("a\rb\r\n", "\r\n")],
)
def test_prevailing_line_end(text, eol):
    assert doc(text).eol == eol


@pytest.mark.parametrize(
    ("encoding", "offsets"),
    [  # of characters 0, 1, 2, ... of the line "aé😀b"
        (U32, [0, 1, 2, 3, 4, 4]),
        (U16, [0, 1, 2, 2, 3, 4, 4]),
        (U8, [0, 1, 1, 2, 2, 2, 2, 3, 4, 4]),
    ],
)
def test_offsets(encoding, offsets):
    document = doc("x\r\naé😀b\r\nz")
    assert [document.offset_at(Position(1, character), encoding) - 3 for character in range(len(offsets))] == offsets


@pytest.mark.parametrize(
    ("position", "offset"),
    [(Position(0, 99), 2), (Position(2, 0), 5), (Position(99, 0), 5), (Position(-1, 5), 0), (Position(1, -4), 4)],
)
def test_positions_outside_are_clamped(position, offset):
    assert doc("ab\r\nc").offset_at(position, U16) == offset


def test_between_cr_and_lf_is_the_end_of_the_line():
    assert doc("ab\r\nc").position_at(3, U16) == Position(0, 2)


def test_an_edit_leaves_the_old_version_alone():
    old = doc("one\ntwo\n")
    new = old.edited([(Range(Position(1, 0), Position(1, 3)), "2"), (at(1, 1), "!")], 7, U16)
    assert (old.text, old.version) == ("one\ntwo\n", 1)
    assert (new.text, new.version, new.uri, new.language_id) == ("one\n2!\n", 7, old.uri, old.language_id)


def test_a_change_without_a_range_replaces_everything():
    assert doc("one").edited([(at(0, 3), "!"), (None, "two"), (at(0, 0), "> ")], 2, U16).text == "> two"


def test_no_changes_only_make_a_new_version():
    assert doc("one").edited([], 5, U16).version == 5


def test_a_range_the_wrong_way_round():
    assert doc("abcd").edited([(Range(Position(0, 3), Position(0, 1)), "-")], 2, U16).text == "a-d"


def test_halves_of_a_character_that_meet_become_one():
    document = doc("\ud83d").edited([(at(0, 1), "\ude00")], 2, U16)
    assert document.text == "😀"
    assert document.position_at(len(document), U16) == Position(0, 2)


@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
def test_a_cr_and_an_lf_that_meet_across_pieces(eol):
    half = ("x" * 79 + eol) * 2000
    joined = doc(half + "\r" + "\n" + half)
    edited = doc(half + "\r" + half).edited([(at(2001, 0), "\n")], 2, U16)
    assert edited.text == joined.text
    assert edited.line_count == joined.line_count == 4002


def test_replaced_keeps_the_version():
    document = doc("pri").replaced(0, 3, "print")
    assert (document.text, document.version) == ("print", 1)


def test_deleting_everything():
    document = doc("line\n" * 50_000)
    empty = document.edited([(Range(Position(0, 0), Position(60_000, 0)), "")], 2, U16)
    assert (empty.text, len(empty), empty.line_count) == ("", 0, 1)


def edited_in_the_middle(
    lines: int, shape: str = "    total = compute(first, second)  # and so on\n"
) -> Callable[[], object]:
    document = doc(shape * lines)
    return lambda: document.edited([(at(lines // 2, 8), "é")], 2, U16)


def calls_in(work: Callable[[], object]) -> int:
    """How many functions are called and generators resumed: unlike time, always the same."""
    counted = []
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, argument: counted.append(event))
    try:
        work()
    finally:
        sys.setprofile(before)
    return len(counted)


@pytest.mark.parametrize("shape", ["    total = compute(first, second)  # and so on\n", "x = 'a minified file'; "])
def test_an_edit_costs_little_more_in_a_long_file(shape):
    short, long = (calls_in(edited_in_the_middle(times, shape)) for times in (1_000, 100_000))
    assert long - short < 8 * len(shape) * 100_000 / MAX, "a sum over the pieces, and nothing else"


def test_a_thousand_changes_at_once():
    document = doc("    total = compute(first, second)\n" * 10_000)
    changes = [(at(line * 7, 4), "new_") for line in range(1000)]
    started = time.process_time()
    document = document.edited(changes, 2, U16)
    assert time.process_time() - started < 0.5
    assert document.line_text(6993) == "    new_total = compute(first, second)"


def test_many_edits_leave_the_pieces_bounded():
    document = doc("word " * 20_000)
    for version in range(400):
        where = Range(Position(0, version * 50), Position(0, version * 50 + 40))
        document = document.edited([(where, ""), (at(0, version * 30), "ab" * 20)], version, U16)
    assert all(1_000 < len(chunk.text) < 17_000 for chunk in document.chunks)
