"""Which slot of an engine a document keeps."""

import pytest

from starfill.remote.slots import MOST, SlotAssignment


def test_an_engine_without_slots():
    assert SlotAssignment(0).of("a") is None


@pytest.mark.parametrize("first", range(4))
def test_each_document_has_one_of_its_own_and_keeps_it(first):
    places = SlotAssignment(4, first)
    slots = [places.of(key) for key in "abcd"]
    assert slots[0] == first
    assert sorted(slots) == [0, 1, 2, 3]
    assert [places.of(key) for key in "abcd" * 3] == slots * 3


def test_more_documents_than_slots_share_them_evenly():
    places = SlotAssignment(3)
    slots = [places.of(key) for key in range(30)]
    assert [slots.count(slot) for slot in range(3)] == [10, 10, 10]


def test_editors_do_not_all_begin_with_the_same():
    assert len({SlotAssignment(8).of("a") for _ in range(200)}) > 1


def test_a_closed_document_is_forgotten():
    places = SlotAssignment(4, 0)
    places.of("a")
    places.forget("a")
    places.forget("never seen")
    assert places.of("a") == 1


def test_the_documents_asked_last_are_kept():
    places = SlotAssignment(MOST + 9, 0)
    for number in range(MOST):
        assert places.of(number) == number
    assert places.of(0) == 0
    assert places.of("one more") == MOST
    assert places.of(0) == 0
    assert places.of(1) == MOST + 1  # the one that was asked longest ago
    assert len(places) == MOST
