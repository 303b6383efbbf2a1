"""States that leave a GPU's memory for the host's, and come back when they are used; here both are the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from engine.toy import INFO, VOCAB, Gate, OnDevice, Toy, all_whole, answer, is_whole, prompt, same_as_cold, taken
from starfill.engine.kv import prefix_cache as module
from starfill.engine.kv.disk_store import model_key
from starfill.engine.kv.kv_cache import BLOCK, KVCache, KVShape
from starfill.engine.kv.prefix_cache import HOST_SHARE, SLOTS_PER_DOCUMENT, Key, PrefixCache, Slot
from starfill.engine.local_engine import LocalEngine
from starfill.engine.scheduler import Scheduler
from starfill.jobs import Job, Priority
from starfill.util.machine_memory import Memory

HERE = torch.device("cpu")
SHAPE = OnDevice(3, 2, 4, torch.float32, HERE)
TOY = Toy(on_device=True).kv_shape
ONE = TOY.bytes_per_token * BLOCK
PLENTY = 1 << 30
A, B, C = (("model", name) for name in "abc")
Start = Callable[..., LocalEngine]


def filled(tokens: int, shape: KVShape = SHAPE) -> tuple[KVCache, list[torch.Tensor]]:
    """A cache of random numbers, and what they are."""
    cache = KVCache(shape)
    cache.reserve(tokens)
    for layer in range(shape.layers):
        cache.write(layer, *torch.randn(2, shape.kv_heads, tokens, shape.head_dim, device=shape.device))
    cache.advance(tokens)
    return cache, cache.layers()


def holds(cache: KVCache, expected: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(here, there) for here, there in zip(cache.layers(), expected, strict=True))


# One state


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


# Many


def put(slots: PrefixCache, key: Key, seed: int, shape: KVShape = TOY) -> Slot:
    """A state of one block, and its ids."""
    ids = prompt(100, seed)
    slot = slots.take(key, ids, shape)
    Toy()(torch.tensor(ids[len(slot.ids) :]), slot.cache, 0)
    slot.ids[:] = ids
    return slot


def parked(slots: PrefixCache) -> list[bool]:
    return [slot.cache.parked for slot in slots]


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


# On the engine


@pytest.fixture
def start() -> Iterator[Start]:
    engines: list[LocalEngine] = []

    def make(budget: int = PLENTY, model: Toy | None = None, states: tuple[Path, str] | None = None) -> LocalEngine:
        engines.append(LocalEngine(model or Toy(on_device=True), INFO, budget, Scheduler(PLENTY), states))
        return engines[-1]

    yield make
    for engine in engines:
        engine.scheduler.close()


def test_documents_beyond_the_budget_cost_no_computing(start: Start) -> None:
    engine = start(2 * ONE)
    for turn in range(3):
        for document in range(6):
            result = answer(engine, Job(document, [*prompt(100, document), *[1] * turn], 3))
            assert result.computed_tokens == 1 or not turn
    held, of_all, whole = engine.scheduler.with_cache(lambda slots: (slots.held, taken(slots), all_whole(slots)))
    assert held <= 3 * ONE and of_all >= 6 * ONE and whole


def test_the_answer_comes_before_states_are_moved(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    moving, park, threads = threading.Event(), KVCache.park, []

    def slowly(cache: KVCache) -> None:
        threads.append(threading.current_thread().name)
        assert moving.wait(30)
        park(cache)

    monkeypatch.setattr(KVCache, "park", slowly)
    engine = start(ONE)
    answer(engine, Job("a", prompt(100, 0), 3))
    answer(engine, Job("b", prompt(100, 1), 3))
    moving.set()
    assert engine.scheduler.with_cache(parked)[:1] == [True]
    assert set(threads) == {"engine"}


def test_a_job_that_gives_way_goes_on_in_a_state_that_was_parked(start: Start) -> None:
    expected = answer(start(), Job("a", prompt(50, 0), 30)).candidates
    gate = Gate()
    engine = start(model=Toy(before=gate, on_device=True))
    waiting = engine.submit(Job("a", prompt(50, 0), 30, priority=Priority.IDLE))
    gate.admit(5)
    gate.wait(6)

    def everything_leaves(candidate: int, token: int) -> bool:
        engine.scheduler.with_cache(lambda slots: slots.evict_from_device(keep=()))
        return False

    wanted = engine.submit(Job("b", [1], 2, on_token=everything_leaves))
    gate.open()
    wanted.future.result(30)
    assert waiting.future.result(30).candidates == expected
    assert engine.scheduler.with_cache(all_whole)


def test_what_is_saved_may_be_parked_and_is_parked_when_it_is_loaded(start: Start, tmp_path: Path) -> None:
    states = (tmp_path, "key")
    first = start(ONE, states=states)
    first.persist(PLENTY, lambda document: True)
    for document in range(3):
        answer(first, Job(f"file:///{document}", prompt(100, document), 1))
    first.close()
    second = start(PLENTY, states=states)
    second.persist(PLENTY, lambda document: True)
    for document in range(3):
        result = answer(second, Job(f"file:///{document}", [*prompt(100, document), 1], 3))
        assert result.computed_tokens <= 2
        assert result.candidates == answer(start(), Job("a", [*prompt(100, document), 1], 3)).candidates


def test_states_of_another_gpu_are_not_used(make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, keys = make_checkpoint(Layout(4, 32)), set()
    files = list(folder.glob("*.safetensors"))
    for name in ("one", "another", "another"):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda name=name: name)
        keys |= {model_key(folder, files, replace(INFO, device=device)) for device in ("cpu", "cuda:0")}
    assert len(keys) == 3


prompts = st.builds(
    lambda base, cut, more: [*prompt(200, base)[:cut], *more],
    st.integers(0, 2),
    st.integers(1, 200),
    st.lists(st.integers(0, VOCAB - 1), max_size=60),
)
budgets = st.sampled_from([0, 2 * ONE, PLENTY])


@given(st.lists(st.tuples(st.sampled_from("abc"), prompts), max_size=25), budgets, budgets)
@settings(max_examples=40, deadline=None)
def test_warm_equals_cold_wherever_states_have_been(
    jobs: list[tuple[str, list[int]]], budget: int, host_budget: int
) -> None:
    same_as_cold(LocalEngine(Toy(on_device=True), INFO, budget, Scheduler(host_budget)), jobs)
