"""Anchors of places that the cursor has left."""

from __future__ import annotations

import pytest

from assist.completion.typist import CODE, Typist, opened, setup
from starfill.assist.completion.fim_prompt import EARLIER
from starfill.config.choices import Layout

LAYOUTS = [Layout.ANCHORED_PSM, Layout.SPM]


def session(layout: Layout) -> Typist:
    document = opened(CODE * 4)
    typist = Typist(setup(layout, context=512), document, place(1))
    typist.look()
    return typist


def place(number: int) -> int:
    """The end of a line, each far from the others."""
    return opened(CODE * 4).line_end(100 * number)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_back_where_something_was_typed_the_prompt_is_the_same(layout: Layout) -> None:
    typist = session(layout)
    typist.type("\n    x = 1\n    y")
    before, here = typist.ids, typist.offset
    typist.offset = place(4)
    typist.type("z")  # below, so that nothing moves
    assert typist.ids != before
    typist.offset = here
    assert typist.look().ids == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_place_where_the_text_has_changed_is_another_one(layout: Layout) -> None:
    typist = session(layout)
    before, here = typist.ids, typist.offset
    typist.offset = place(4)
    typist.look()
    typist.document = typist.document.replaced(here - 60, here - 59, "~")
    typist.offset = here
    assert typist.look().ids != before


def test_so_many_places_are_remembered_and_each_once() -> None:
    typist = session(Layout.SPM)
    for number in range(2 * EARLIER):
        typist.offset = place(number + 1)
        typist.look()
        typist.look()
    assert typist.anchor is not None
    offsets = [each.offset for each in (typist.anchor, *typist.anchor.earlier)]
    assert len(offsets) == EARLIER + 1 == len(set(offsets))
    assert not any(each.earlier for each in typist.anchor.earlier)
