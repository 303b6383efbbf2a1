"""A span followed through the edits of others: an oracle gives every character inside a mark of its own."""

from __future__ import annotations

from random import Random

import pytest

from starfill.text.document import Change, Document
from starfill.text.position import Encoding, Position, Range, Span
from starfill.text.span_tracking import follow
from text import naive
from text.sequences import ALPHABET, sequence

U16 = Encoding.UTF16
NEW = "\ue000"  # in no text but the one that an edit puts inside


def doc(text: str) -> Document:
    return Document.open("file:///a.py", "python", 1, text)


def change(document: Document, start: int, end: int, text: str) -> Change:
    return Range(document.position_at(start, U16), document.position_at(end, U16)), text


def part(text: str, marked: str) -> Span:
    return Span(text.index(marked), text.index(marked) + len(marked))


@pytest.mark.parametrize(
    ("start", "end", "new", "moved"),
    [  # of 01[234]56
        (0, 0, "xx", 2),
        (0, 2, "", -2),
        (1, 2, "xyz", 2),
        (2, 2, "x", 1),
        (5, 5, "x", 0),
        (5, 7, "", 0),
        (6, 6, "\n\n", 0),
        (3, 3, "x", None),
        (2, 3, "", None),
        (4, 5, "x", None),
        (2, 5, "", None),
        (2, 5, "xyz", None),
        (0, 7, "", None),
        (0, 3, "x1", None),
        (1, 3, "x2", 0),  # they replace more than they change
        (0, 3, "x12", 0),
        (4, 7, "4x6", 0),
        (2, 5, "234x", 0),
        (0, 7, "0x123456", 1),
        (2, 5, "234", 0),
    ],
)
def test_one_change(start: int, end: int, new: str, moved: int | None) -> None:
    document = doc("0123456")
    found = follow(Span(2, 5), document, [change(document, start, end, new)], U16)
    assert found == (None if moved is None else Span(2 + moved, 5 + moved))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a\n[b]\nc", "x\na\n[b]\nc", "[b]"),
        ("a\n[b]\nc", "a\n[b]\nc and more", "[b]"),
        ("a\n[b]\nc", "a\n[bb]\nc", None),
        ("a\n[b]\nc", "", None),
        ("a\n[b]\nc", "x\n[b]\ny", None),  # on both sides: what is between might have changed too
        ("same\n[same]\n", "same\nsame\n[same]\n", "[same]"),
        ("[same]\nsame\n", "[same]\nsame\nsame\n", "[same]"),
        ("", "x", None),
    ],
)
def test_a_new_whole_text(old: str, new: str, expected: str | None) -> None:
    span = part(old, old[old.index("[") : old.index("]") + 1]) if old else Span(0, 0)
    found = follow(span, doc(old), [(None, new)], U16)
    if not old:
        assert found == Span(1, 1)
    else:
        assert found == (part(new, expected) if expected else None)


def test_the_changes_of_one_notification_see_each_other() -> None:
    document = doc("import a\n\ndef f():\n    pass\n")
    changes: list[Change] = [
        (Range(Position(0, 0), Position(0, 0)), "# new\n"),
        (Range(Position(2, 0), Position(2, 0)), "\n"),
        (Range(Position(6, 0), Position(6, 0)), "x = 1\n"),
    ]
    span = part(document.text, "def f():\n    pass")
    after = document.edited(changes, 2, U16)
    found = follow(span, document, changes, U16)
    assert found == part(after.text, "def f():\n    pass")


def test_the_unit_of_positions_matters() -> None:
    document = doc("😀x[y]")
    assert follow(Span(2, 5), document, [(Range(Position(0, 2), Position(0, 2)), "!")], U16) == Span(3, 6)
    assert follow(Span(2, 5), document, [(Range(Position(0, 2), Position(0, 2)), "!")], Encoding.UTF32) == Span(3, 6)
    assert follow(Span(2, 5), document, [(Range(Position(0, 3), Position(0, 3)), "!")], Encoding.UTF32) is None


def test_halves_that_meet_at_the_edge_are_inside() -> None:
    document = doc("a\ude00b")
    assert follow(Span(1, 3), document, [(Range(Position(0, 1), Position(0, 1)), "\ud83d")], U16) is None


WHOLE = [each for each in ALPHABET if not "\ud800" <= each <= "\udfff"]


def random_change(random: Random, length: int) -> tuple[int, int, str]:
    start = random.randrange(length + 1)
    end = start if random.random() < 0.5 else min(length, start + random.randrange(6))
    return start, end, "".join(random.choices(WHOLE, k=random.randrange(4)))


@pytest.mark.parametrize("seed", range(300))
def test_equals_marks_on_every_character(seed: int) -> None:
    random = Random(seed)
    text = "".join(random.choices(WHOLE, k=random.randrange(2, 40)))
    start, end = sorted((random.randrange(len(text) + 1), random.randrange(len(text) + 1)))
    inside, tagged = list(range(start, end)), list(enumerate(text))
    document, changes = doc(text), []
    touched = False
    for _ in range(random.randrange(1, 5)):
        where = random_change(random, len(tagged))
        current = document.edited(changes, 2, U16)
        pair = change(current, *where)
        low, high = (current.offset_at(place, U16) for place in (pair[0].start, pair[0].end))
        places = [at for at, (mark, _) in enumerate(tagged) if mark in inside]
        if places:
            touched |= low < places[-1] + 1 and high > places[0]
        changes.append(pair)
        tagged[low:high] = [(-1, char) for char in pair[1]]
    found = follow(Span(start, end), document, changes, U16)
    after = document.edited(changes, 2, U16)
    places = [at for at, (mark, _) in enumerate(tagged) if mark in inside]
    if inside and not touched:
        assert found == Span(places[0], places[-1] + 1)
    if found is not None:
        assert after.slice(found.start, found.end) == text[start:end]


@pytest.mark.parametrize("seed", range(300))
def test_a_new_whole_text_that_differs_outside(seed: int) -> None:
    """Where lines repeat, the difference could be elsewhere too; some place outside is enough."""
    random = Random(seed)
    text = "".join(random.choices("ab", k=random.randrange(1, 12)))
    start, end = sorted((random.randrange(len(text) + 1), random.randrange(len(text) + 1)))
    if random.random() < 0.5:
        low, high = sorted((random.randrange(start + 1), random.randrange(start + 1)))
    else:
        low, high = sorted((random.randrange(end, len(text) + 1), random.randrange(end, len(text) + 1)))
    new = text[:low] + "".join(random.choices("ab", k=random.randrange(3)) if low == high else "") + text[high:]
    found = follow(Span(start, end), doc(text), [(None, new)], U16)
    assert found is not None
    assert new[found.start : found.end] == text[start:end]
    assert found.start in (start, start + len(new) - len(text))


@pytest.mark.parametrize("encoding", Encoding)
def test_something_new_inside_is_always_seen(encoding: Encoding) -> None:
    for seed in range(200):
        case, random = sequence(seed), Random(seed)
        document = doc(case.text)
        if len(document) < 2:
            continue
        at = random.randrange(1, len(document))
        place = document.position_at(at, encoding)
        at = document.offset_at(place, encoding)
        span = Span(random.randrange(at + 1), random.randrange(at, len(document)) + 1)
        for step in case.steps:
            found = follow(span, document, step, encoding)
            text = naive.edited(document.text, None, document.text, encoding)
            for where, new in step:
                text = naive.edited(text, where, new, encoding)
            if found is not None:
                assert text[found.start : found.end] == document.slice(span.start, span.end), seed
        if span.start < at < span.end:
            assert follow(span, document, [(Range(place, place), NEW)], encoding) is None, seed
