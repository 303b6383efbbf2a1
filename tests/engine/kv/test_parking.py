"""States that leave a GPU's memory for the host's, and come back when they are used; here both are the same."""

from __future__ import annotations

import pytest
import torch

from engine.kv.parked_states import ONE, PLENTY, SHAPE, TOY, A, B, C, filled, holds, parked, put
from engine.toy import Toy, is_whole, taken
from starfill.engine.kv import prefix_cache as module
from starfill.engine.kv.kv_cache import BLOCK, KVCache
from starfill.engine.kv.prefix_cache import HOST_SHARE, SLOTS_PER_DOCUMENT, PrefixCache
from starfill.util.machine_memory import Memory


@pytest.mark.parametrize(
    "tokens, more, capacity", [(100, 1, BLOCK), (128, 0, BLOCK), (128, 1, 2 * BLOCK), (10, 300, 3 * BLOCK)]
)
def test_what_was_parked_comes_back_with_room(tokens: int, more: int, capacity: int) -> None:
    cache, expected = filled(tokens)
    held = cache.nbytes
    cache.park()
    assert cache.parked and cache.nbytes == held and holds(cache, expected)
    with pytest.raises(AssertionError):
        cache.addresses()
    cache.reserve(more)
    assert not cache.parked and cache.capacity == capacity and holds(cache, expected)
    keys, values = cache.write(1, *torch.ones(2, 2, more, 4))
    assert (keys[:, tokens : tokens + more] == 1).all() and keys.isfinite().all() and values.isfinite().all()


def test_addresses_are_those_of_the_storage_whatever_moved() -> None:
    cache, _ = filled(100)
    for move in (lambda: None, lambda: cache.reserve(100), cache.park, lambda: cache.trim(50)):
        move()
        cache.reserve(1)
        assert cache.addresses() == [cache.write(layer, *torch.ones(2, 2, 1, 4))[0].data_ptr() for layer in range(3)]


def test_what_is_trimmed_while_parked_does_not_come_back() -> None:
    cache, expected = filled(200)
    cache.park()
    cache.trim(150)
    assert holds(cache, [layer[:, :, :150] for layer in expected])
    cache.reserve(1)
    assert cache.length == 150 and holds(cache, [layer[:, :, :150] for layer in expected])


@pytest.mark.parametrize("length", [0, 1, 128, 200])
def test_a_fork_of_a_parked_state_is_where_it_is_computed_with(length: int) -> None:
    cache, expected = filled(200)
    cache.park()
    fork = cache.fork(length)
    assert cache.parked and not fork.parked
    assert holds(fork, [layer[:, :, :length] for layer in expected]) and holds(cache, expected)
    fork.reserve(1)
    fork.write(0, *torch.zeros(2, 2, 1, 4))
    assert holds(cache, expected)


def test_a_state_from_elsewhere_is_parked_until_it_is_used() -> None:
    _, expected = filled(200)
    cache = KVCache.of(SHAPE, expected)
    assert cache.parked and cache.length == 200 and holds(cache, expected)
    cache.reserve(1)
    assert not cache.parked and cache.capacity == 2 * BLOCK and holds(cache, expected)


def test_the_least_recently_used_is_parked_and_dropped_last() -> None:
    slots = PrefixCache(2 * ONE, host_budget=2 * ONE)
    first, second, third = (put(slots, key, seed) for seed, key in enumerate((A, B, C)))
    slots.evict(keep=())
    assert list(slots) == [first, second, third] and parked(slots) == [True, False, False]
    assert (slots.held, taken(slots)) == (2 * ONE, 3 * ONE)
    assert put(slots, A, 0) is first and parked(slots) == [False, False, False]
    slots.evict(keep=())
    assert list(slots) == [second, third, first] and parked(slots) == [True, False, False]
    fourth, fifth = put(slots, A, 3), put(slots, A, 4)
    slots.evict(keep=())
    assert list(slots) == [third, first, fourth, fifth] and parked(slots) == [True, True, False, False]
    assert all(map(is_whole, slots))


def test_what_is_kept_stays_where_it_is() -> None:
    slots = PrefixCache(0, host_budget=PLENTY)
    first, _ = put(slots, A, 0), put(slots, B, 1)
    slots.evict(keep={first})
    assert parked(slots) == [False, True]


def test_states_of_the_host_itself_are_dropped_at_once() -> None:
    slots = PrefixCache(0, host_budget=PLENTY)
    put(slots, A, 0, Toy().kv_shape)
    assert slots.evict_from_device(keep=()) == 0
    slots.evict(keep=())
    assert list(slots) == []


def test_a_parked_state_is_found_taken_back_and_copied() -> None:
    slots = PrefixCache(0, host_budget=PLENTY)
    slot = put(slots, A, 0)
    slots.evict(keep=())
    ids = slot.ids
    assert slots.shared(A, [*ids, 1]) == 100
    other = slots.take(B, [*ids[:90], 1, 2], TOY)
    assert other is not slot and parked(slots) == [True, False] and is_whole(other) and len(other.ids) >= 90
    copy = slots.take(A, [*ids, 1], TOY, busy={slot})
    assert copy is not slot and slot.cache.parked and copy.ids == ids
    slots.drop(copy)
    again = slots.take(A, [*ids, *[1] * 50], TOY)
    assert again is slot and not again.cache.parked and again.cache.capacity == 2 * BLOCK and is_whole(again)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_where_the_host_has_no_memory_it_is_dropped(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> torch.Tensor:
        raise error

    slots = PrefixCache(0, host_budget=PLENTY)
    put(slots, A, 0)
    monkeypatch.setattr(torch, "empty", full)
    slots.evict(keep=())
    assert list(slots) == []


def test_memory_that_can_be_swapped_out_is_better_than_none(monkeypatch: pytest.MonkeyPatch) -> None:
    empty, asked = torch.empty, []

    def unpinned(*args: object, pin_memory: bool = False, **more: object) -> torch.Tensor:
        asked.append(pin_memory)
        if len(asked) == 1:
            raise RuntimeError
        return empty(*args, pin_memory=pin_memory, **more)  # type: ignore[call-overload, no-any-return]

    cache, expected = filled(100)
    monkeypatch.setattr(torch, "empty", unpinned)
    cache.park()
    assert len(asked) == 1 + SHAPE.layers and holds(cache, expected)


def test_the_host_gives_a_share_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "system_memory", lambda: Memory(PLENTY, 2 * HOST_SHARE * ONE))
    slots = PrefixCache(0)
    put(slots, A, 0, Toy().kv_shape)
    slots.evict(keep=())
    assert slots.host_budget is None  # nobody has asked
    for seed in range(4):
        put(slots, A, seed)
        slots.evict(keep=())
    assert slots.host_budget == 2 * ONE and parked(slots) == [True, True]


def test_a_document_keeps_so_many_places_wherever_they_are() -> None:
    slots = PrefixCache(0, host_budget=PLENTY)
    for seed in range(2 * SLOTS_PER_DOCUMENT):
        put(slots, A, seed)
        slots.evict(keep=())
    assert parked(slots) == [True] * SLOTS_PER_DOCUMENT
