"""KV states by longest common prefix: what is reused, what is copied, what is dropped."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.toy import INFO, VOCAB, Toy, is_whole, prompt, same_as_cold, taken
from starfill.engine.kv.kv_cache import BLOCK
from starfill.engine.kv.prefix_cache import MAX_RECOMPUTED, SLOTS_PER_DOCUMENT, Key, PrefixCache, Slot
from starfill.engine.local_engine import LocalEngine
from starfill.jobs import Job
from starfill.util.common_prefix import common_prefix

SHAPE = Toy().kv_shape
BLOCK_BYTES = SHAPE.bytes_per_token * BLOCK
PLENTY = 1 << 30
DOCUMENT: Key = ("model", "document")
OTHER: Key = ("model", "other")


def fill(slot: Slot, ids: list[int], generated: int = 0) -> None:
    """What a job does with a slot: compute the rest of its prompt, and then some."""
    model = Toy()
    new = [*ids[len(slot.ids) :], *[1] * generated]
    for token in new:
        model(torch.tensor([token]), slot.cache, 0)
    slot.ids.extend(new)
    assert is_whole(slot)


def ask(slots: PrefixCache, key: Key, ids: list[int], generated: int = 0) -> tuple[Slot, int]:
    """The slot of a prompt, and how many of its tokens were there already."""
    slot = slots.take(key, ids, SHAPE)
    found = len(slot.ids)
    fill(slot, ids, generated)
    return slot, found


def test_common_prefix_of_random_sequences() -> None:
    rng = random.Random(1)
    for _ in range(500):
        shared = [rng.randrange(3) for _ in range(rng.randrange(20))]
        a = shared + [rng.randrange(3) for _ in range(rng.randrange(5))]
        b = shared + [rng.randrange(3) for _ in range(rng.randrange(5))]
        expected = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        assert common_prefix(a, b) == common_prefix(a, tuple(b)) == expected


def test_one_token_is_always_left_to_feed() -> None:
    slots = PrefixCache(PLENTY)
    ask(slots, DOCUMENT, [1, 2, 3])
    assert slots.take(DOCUMENT, [1, 2, 3], SHAPE).ids == [1, 2]


def test_typing_stays_in_one_slot_whatever_was_generated() -> None:
    slots = PrefixCache(PLENTY)
    ids = prompt(60, 0)
    first, _ = ask(slots, DOCUMENT, ids, generated=4 * MAX_RECOMPUTED)
    for typed in range(30):
        ids = [*ids, typed % VOCAB]
        slot, found = ask(slots, DOCUMENT, ids, generated=4 * MAX_RECOMPUTED)
        assert slot is first
        assert found >= len(ids) - 2
    assert ask(slots, DOCUMENT, ids[: 1 - MAX_RECOMPUTED])[0] is first  # taking a few back loses nothing worth keeping
    assert list(slots) == [first]


def test_a_place_visited_before_is_still_there() -> None:
    slots = PrefixCache(PLENTY)
    shared = prompt(40, 0)
    here, there = [*shared, *prompt(100, 1)], [*shared, *prompt(100, 2)]
    first, _ = ask(slots, DOCUMENT, here, generated=10)
    second, found = ask(slots, DOCUMENT, there)
    assert second is not first and found == common_prefix(here, there)
    assert is_whole(first) and len(first.ids) == 150
    slot, found = ask(slots, DOCUMENT, [*here, 3])
    assert slot is first and found >= len(here)
    slot, found = ask(slots, DOCUMENT, [*there, 3])
    assert slot is second and found == len(there)


def test_what_was_only_foreseen_is_not_kept() -> None:
    slots = PrefixCache(PLENTY)
    ids = prompt(60, 0)
    slot, _ = ask(slots, DOCUMENT, ids)
    for typed in range(
        2 * SLOTS_PER_DOCUMENT
    ):  # a suggestion is shown, and what follows it is prepared; then another key comes
        accepted = slots.take(DOCUMENT, [*ids, *prompt(40, typed)], SHAPE, foreseen=True)
        fill(accepted, [*ids, *prompt(40, typed)], generated=20)
        ids = [*ids, typed % VOCAB]
        assert ask(slots, DOCUMENT, ids)[0] is accepted is slot
    assert list(slots) == [slot]
    elsewhere = slots.take(DOCUMENT, prompt(60, 1), SHAPE, foreseen=True)
    assert elsewhere is not slot and slot.ids == ids  # foreseeing loses nothing either


def test_another_document_is_copied_and_never_changed() -> None:
    slots = PrefixCache(PLENTY)
    ids = prompt(80, 0)
    theirs, _ = ask(slots, OTHER, ids)
    ours, found = ask(slots, DOCUMENT, [*ids[:70], *prompt(30, 1)])
    assert found >= 70 and ours is not theirs
    assert theirs.ids == ids and is_whole(theirs)


def test_another_model_has_nothing_to_share() -> None:
    slots = PrefixCache(PLENTY)
    ids = prompt(80, 0)
    ask(slots, ("another model", "document"), ids)
    assert ask(slots, DOCUMENT, ids)[1] == 0


def test_a_slot_that_a_job_works_in_is_left_alone() -> None:
    slots = PrefixCache(PLENTY)
    ids = prompt(80, 0)
    working, _ = ask(slots, OTHER, ids)
    slot = slots.take(OTHER, ids, SHAPE, busy={working})
    assert slot is not working and working.ids == ids and slot.ids == ids[:-1]


def test_a_document_keeps_so_many_places() -> None:
    slots = PrefixCache(PLENTY)
    ask(slots, OTHER, prompt(100, 1000))
    for place in range(3 * SLOTS_PER_DOCUMENT):
        ask(slots, DOCUMENT, prompt(100, place))
    assert len(list(slots)) == SLOTS_PER_DOCUMENT + 1
    assert ask(slots, DOCUMENT, prompt(100, 2 * SLOTS_PER_DOCUMENT))[1] == 99
    assert ask(slots, DOCUMENT, prompt(100, 2 * SLOTS_PER_DOCUMENT - 1))[1] < MAX_RECOMPUTED
    assert ask(slots, OTHER, prompt(100, 1000))[1] == 99


def test_least_recently_used_go_first_wherever_they_are() -> None:
    slots = PrefixCache(3 * BLOCK_BYTES)
    first, _ = ask(slots, DOCUMENT, prompt(100, 0))
    ask(slots, DOCUMENT, prompt(100, 1))
    third, _ = ask(slots, OTHER, prompt(100, 2))
    ask(slots, DOCUMENT, prompt(100, 0))
    fourth, _ = ask(slots, OTHER, prompt(100, 3))
    slots.evict(keep=())
    assert list(slots) == [third, first, fourth]
    slots.budget = 0
    slots.evict(keep={third})
    assert list(slots) == [third]


def test_latest_of_each_document() -> None:
    slots = PrefixCache(PLENTY)
    ask(slots, DOCUMENT, prompt(100, 0))
    other, _ = ask(slots, OTHER, prompt(100, 1))
    latest, _ = ask(slots, DOCUMENT, prompt(100, 2))
    ask(slots, ("another model", "document"), prompt(100, 3))
    assert list(slots.latest("model").items()) == [("other", other), ("document", latest)]


@pytest.mark.parametrize("documents", [1, 300])
def test_hundreds_of_documents_stay_within_the_budget(documents: int) -> None:
    """Whatever is opened, typed in and jumped around in: bytes are bounded after every job."""
    budget = 40 * BLOCK_BYTES
    engine = LocalEngine(Toy(), INFO, budget)
    rng = random.Random(documents)
    try:
        for turn in range(600):
            document, place = rng.randrange(documents), rng.randrange(3)
            ids = [*prompt(90, 10 * document), *prompt(60, 10 * document + place), *prompt(turn % 9, turn)]
            engine.submit(Job(f"file:///{document}", ids, 3)).future.result(30)
            assert engine.scheduler.with_cache(taken) <= budget
        held = engine.scheduler.with_cache(lambda slots: len(list(slots)))
        assert 3 <= held <= SLOTS_PER_DOCUMENT if documents == 1 else held == 20
    finally:
        engine.close()


prompts = st.builds(
    lambda base, cut, more: [*prompt(200, base)[:cut], *more],
    st.integers(0, 2),
    st.integers(1, 200),
    st.lists(st.integers(0, VOCAB - 1), max_size=60),
)


@given(st.lists(st.tuples(st.sampled_from("abc"), prompts), max_size=25), st.sampled_from([0, 3 * BLOCK_BYTES, PLENTY]))
@settings(max_examples=40, deadline=None)
def test_warm_equals_cold_wherever_a_state_comes_from(jobs: list[tuple[str, list[int]]], budget: int) -> None:
    """Jumps, siblings and copies across documents change what is computed, never what is answered."""
    same_as_cold(LocalEngine(Toy(), INFO, budget), jobs)
