"""An engine whose states are parked: nothing is computed again, no answer is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from engine.kv.parked_states import ONE, PLENTY, parked
from engine.toy import INFO, VOCAB, Gate, Toy, all_whole, answer, prompt, same_as_cold, taken
from starfill.engine.kv.disk_store import model_key
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.local_engine import LocalEngine
from starfill.engine.scheduler import Scheduler
from starfill.jobs import Job, Priority

Start = Callable[..., LocalEngine]


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
