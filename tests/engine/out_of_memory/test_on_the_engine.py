"""A GPU's memory runs out: nothing is lost or wrong, the user is told once, and the job goes on if it can."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.out_of_memory.scarce_memory import ONE, ROW, Device, Wanting, served
from engine.toy import (
    CONTEXT,
    PLENTY,
    VOCAB,
    Gate,
    all_whole,
    alone,
    answer,
    prompt,
    taken,
)
from starfill.engine import decoding
from starfill.engine.chunking import LEAST
from starfill.engine.kv import kv_cache
from starfill.engine.kv.kv_cache import BLOCK
from starfill.engine.local_engine import LocalEngine
from starfill.engine.scheduler import Scheduler
from starfill.errors import EngineError
from starfill.jobs import Finish, Job, Priority, Result, Sampling

# On the engine


def test_other_documents_make_room_and_stay_known(engine: LocalEngine, device: Device) -> None:
    """Three states fit, or two and a pass over a prompt."""
    told: list[str | None] = []
    engine.watch(told.append)
    device.nbytes = 3 * ONE
    for turn in range(3):
        for document in range(6):
            job = Job(document, [*prompt(100, document), *[1] * turn], 5)
            result = answer(engine, job)
            assert result.candidates == alone(job) and result.finish == (Finish.LENGTH,)
            assert result.computed_tokens == 1 or not turn
    (sentence,) = told
    assert sentence is not None and sentence.startswith("The GPU's memory ran out: ")
    held, of_all = engine.scheduler.with_cache(lambda slots: (slots.held, taken(slots)))
    assert engine.cache_bytes <= 3 * ONE * 3 / 4 and held <= 3 * ONE and of_all >= 6 * ONE


def test_what_is_held_on_the_device_holds_from_then_on(engine: LocalEngine, device: Device) -> None:
    """The budget has shrunk: soon memory doesn't run out any more."""
    device.nbytes = 6 * ONE
    for document in range(30):
        answer(engine, Job(document, prompt(100, document), 5))
        if document == 14:
            assert device.failures
            device.failures = 0
    assert device.failures == 0


def test_a_prompt_is_computed_in_smaller_pieces(engine: LocalEngine, device: Device) -> None:
    model = engine.served.model
    assert isinstance(model, Wanting)
    job = Job("a", prompt(380), 5)
    device.nbytes = 5 * ONE  # its state takes three, and as much a pass over all of it
    assert answer(engine, job).candidates == alone(job)
    assert max(model.calls) == 190 and device.failures == 1
    del model.calls[:]
    engine.release("a")
    job = Job("b", prompt(380, 1), 5)
    assert answer(engine, job).candidates == alone(job)
    assert max(model.calls) <= 190 and device.failures == 1  # learned from the one before


def test_a_job_that_is_too_large_fails_alone(engine: LocalEngine, device: Device) -> None:
    small = Job("a", prompt(50), 5)
    answer(engine, small)
    device.nbytes = 2 * ONE + 50 * ROW
    large = Job("b", prompt(380, 1), 5)
    with pytest.raises(EngineError, match=r"memory for a prompt of 380 tokens.*close other programs.*contextTokens"):
        answer(engine, large)
    again = replace(small, ids=[*small.ids, 1])
    result = answer(engine, again)
    assert result.candidates == alone(again) and result.computed_tokens == 1
    device.nbytes = PLENTY
    result = answer(engine, large)
    assert result.candidates == alone(large)
    assert 2 * BLOCK - LEAST <= result.cached_tokens <= 2 * BLOCK  # as far as it came


def test_no_room_even_for_the_first_token(engine: LocalEngine, device: Device) -> None:
    told: list[str | None] = []
    engine.watch(told.append)
    device.nbytes = 0
    for _ in range(3):
        with pytest.raises(EngineError):
            answer(engine, Job("a", prompt(20), 5))
    assert told == []  # there was nothing to move
    device.nbytes = PLENTY
    assert answer(engine, Job("a", prompt(20), 5)).candidates == alone(Job("a", prompt(20), 5))


@pytest.mark.parametrize("count", [2, 4])
def test_candidates_need_states_of_their_own(engine: LocalEngine, device: Device, count: int) -> None:
    job = Job("a", prompt(100), 8, sampling=Sampling(1.0, 0.9, seed=3), candidates=count)
    for document in range(4):
        answer(engine, Job(document, prompt(100, 1 + document), 1))
    device.nbytes = count * ONE + ROW * 100
    assert answer(engine, job).candidates == alone(job)
    device.nbytes = count * ONE - 1
    with pytest.raises(EngineError):
        answer(engine, job)
    device.nbytes = PLENTY
    assert answer(engine, job).candidates == alone(job)


def test_where_picking_runs_out_of_memory_the_job_fails(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError

    job = Job("a", prompt(100), 8, sampling=Sampling(1.0, seed=3))
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "pick", full)
        with pytest.raises(EngineError):
            answer(engine, job)
    result = answer(engine, job)
    assert result.candidates == alone(job) and result.computed_tokens == 1


def test_a_job_that_gave_way_goes_on(device: Device) -> None:
    """Its state is moved too, for the one that it gave way to, and comes back."""
    gate = Gate()
    engine = served(Wanting(device, before=gate))
    try:
        idle = Job("a", prompt(100), 20, priority=Priority.IDLE)
        waiting = engine.submit(idle)
        gate.admit(3)
        gate.wait(4)
        device.nbytes = 3 * ONE // 2
        urgent = Job("b", prompt(40, 1), 5)
        wanted = engine.submit(urgent)
        gate.open()
        assert wanted.future.result(30).candidates == alone(urgent)
        assert waiting.future.result(30).candidates == alone(idle)
    finally:
        engine.scheduler.close()


def test_it_is_told_once_to_each_who_watches(device: Device) -> None:
    scheduler = Scheduler()
    engines = [served(Wanting(device, salt), scheduler) for salt in range(3)]
    told: list[list[str | None]] = [[], [], []]
    for engine, mine in zip(engines, told, strict=True):
        engine.watch(mine.append)
    try:
        engines[2].close()
        for document in range(2):
            answer(engines[0], Job(document, prompt(100, document), 1))
        device.nbytes = 2 * ONE
        for document in range(4):
            answer(engines[1], Job(document, prompt(100, document), 1))
        assert [len(mine) for mine in told] == [1, 1, 0]
    finally:
        scheduler.close()


jobs = st.builds(
    Job,
    key=st.sampled_from("abc"),
    ids=st.one_of(st.integers(1, 380).map(prompt), st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=5)),
    max_new_tokens=st.integers(0, 12),
    sampling=st.builds(Sampling, st.sampled_from([0.0, 1.0]), st.just(1.0), st.integers(0, 9)),
    candidates=st.sampled_from([1, 1, 3]),
    priority=st.sampled_from(Priority),
    draft=st.sampled_from([(), tuple(range(VOCAB)) * 3]),
)


@given(st.lists(st.tuples(jobs, st.integers(0, 12), st.booleans()), max_size=8), st.sampled_from([0, 3 * ONE, PLENTY]))
@settings(max_examples=60, deadline=None)
def test_whatever_memory_there_is_no_answer_is_wrong(lives: list[tuple[Job, int, bool]], host_budget: int) -> None:
    """Memory comes and goes, also while jobs wait for each other: each gets the whole answer, or the sentence."""
    device = Device()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv_cache, "allocate", device.allocate)
        engine = served(Wanting(device), Scheduler(host_budget))

        def whole(candidate: int, token: int) -> bool:
            assert engine.scheduler.with_cache(all_whole)  # a failure here becomes the job's
            return False

        asked = []
        try:
            for job, blocks, waits in lives:
                assert len(job.ids) + 12 < CONTEXT
                device.nbytes = blocks * ONE // 2
                asked.append((job, engine.submit(replace(job, on_token=whole)).future))
                if waits:
                    asked[-1][1].exception(30)
            for job, future in asked:
                error = future.exception(30)
                assert error is None or isinstance(error, EngineError), error
                if error is None:
                    check(future.result(), job)
            device.nbytes = PLENTY
            last = Job("last", [1], 3)
            assert answer(engine, last).candidates == alone(last)
        finally:
            engine.scheduler.close()


def check(result: Result, job: Job) -> None:
    for written, expected, finish in zip(result.candidates, alone(job), result.finish, strict=True):
        assert written == expected[: len(written)]
        assert finish is Finish.SUPERSEDED or written == expected
    if Finish.SUPERSEDED not in result.finish:
        assert result.prompt_tokens == result.cached_tokens + result.computed_tokens
