"""Two models on one scheduler: one thread, one budget, priorities across both, and each can be closed on its own."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.toy import CONTEXT, INFO, VOCAB, Gate, Toy, all_whole, answer, eager, prompt, taken, wait_until_closing
from starfill.engine.chunking import CHUNK, ChunkSize
from starfill.engine.decoding import JobProgress
from starfill.engine.generate import run
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.kv.prefix_cache import Slot
from starfill.engine.local_engine import LocalEngine
from starfill.engine.scheduler import Scheduler
from starfill.jobs import Finish, Job, Priority, Sampling, Ticket

BUDGET = 1 << 20
Serve = Callable[[Toy], LocalEngine]


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    scheduler.close()


@pytest.fixture
def serve(scheduler: Scheduler) -> Serve:
    def serve(model: Toy) -> LocalEngine:
        return LocalEngine(model, INFO, BUDGET, scheduler, chunk_size=ChunkSize(learned=eager()))

    return serve


def alone(salt: int, job: Job) -> tuple[int, ...]:
    """What a model answers from nothing, uninterrupted."""
    model = Toy(salt)
    progress = JobProgress(replace(job, draft=()), time.perf_counter())
    for _ in run(model, Slot(KVCache(model.kv_shape)), progress, CONTEXT, ChunkSize()):
        pass
    return progress.result(Finish.CANCELLED).candidates[0]


ACTION = Job("action", prompt(2 * CHUNK + 10), 30, priority=Priority.INSTRUCTION)
COMPLETION = Job("document", prompt(20, 1), 3)


def test_one_thread_computes_for_both(serve: Serve) -> None:
    small, large = Toy(1), Toy(2)
    for model in (small, large):
        answer(serve(model), COMPLETION)
    assert small.threads == large.threads
    assert len(small.threads) == 1


def test_the_same_key_is_another_slot_for_another_model(serve: Serve) -> None:
    small, large = serve(Toy(1)), serve(Toy(2))
    tickets = [engine.submit(replace(COMPLETION, max_new_tokens=20)) for engine in (small, large)]
    for salt, ticket in enumerate(tickets, 1):
        result = ticket.future.result(30)
        assert result.candidates[0] == alone(salt, replace(COMPLETION, max_new_tokens=20))
        assert (result.finish, result.cached_tokens) == ((Finish.LENGTH,), 0)
    small.release(COMPLETION.key)
    assert answer(large, COMPLETION).computed_tokens == 1
    assert answer(small, COMPLETION).computed_tokens == 20


@pytest.mark.parametrize("same", [True, False], ids=["one model", "two models"])
@pytest.mark.parametrize("passes", [1, 3, 4, 6, 8], ids=lambda passes: f"{passes} passes")
@pytest.mark.parametrize("draft", [(), tuple(range(VOCAB)) * 5], ids=["plain", "draft"])
def test_a_completion_goes_between_and_the_action_goes_on(
    serve: Serve, same: bool, passes: int, draft: tuple[int, ...]
) -> None:
    """Nothing of the action is computed twice, in prefill or in decode, and its text is what it is alone."""
    uninterrupted = Toy(2)
    action = replace(ACTION, draft=draft)
    expected = answer(serve(uninterrupted), action)

    gate = Gate()
    order: list[str] = []
    large = Toy(2, before=gate)
    actions = serve(large)
    small = large if same else Toy(1)
    completions = actions if same else serve(small)
    acting = actions.submit(replace(action, on_token=lambda *_: order.append("action") or False))
    gate.wait()
    gate.admit(passes - 1)
    gate.wait(passes - 1)  # in the last of these passes
    before, written = list(large.calls), len(order)
    wanted = completions.submit(replace(COMPLETION, on_token=lambda *_: order.append("completion") or False))
    gate.open()
    assert wanted.future.result(30).candidates[0] == alone(2 if same else 1, COMPLETION)
    result = acting.future.result(30)

    assert replace(result, queue_ms=0, prefill_ms=0, decode_ms=0) == replace(
        expected, queue_ms=0, prefill_ms=0, decode_ms=0
    )
    first = order.index("completion")
    assert order[first : first + 3] == ["completion"] * 3
    assert first <= written + 1  # the pass that was running brought a token, no second pass came between
    undisturbed = Toy(2 if same else 1)
    answer(serve(undisturbed), COMPLETION)
    between = undisturbed.calls
    if same:
        assert large.calls == [*uninterrupted.calls[:passes], *between, *uninterrupted.calls[passes:]]
    else:
        assert (large.calls, small.calls) == (uninterrupted.calls, between)
    assert before == uninterrupted.calls[: passes - 1]


def test_the_budget_is_one_for_all_models(serve: Serve, scheduler: Scheduler) -> None:
    one = KVCache(Toy().kv_shape)
    one.reserve(100)
    small, large = serve(Toy(1)), serve(Toy(2))
    large.resize(2 * one.nbytes)
    job = Job("a", prompt(100), 1)
    for engine, each in ((small, job), (large, job), (small, job), (large, Job("b", prompt(100, 1), 1))):
        answer(engine, each)
    assert scheduler.with_cache(taken) == 2 * one.nbytes
    assert answer(small, job).computed_tokens == 1
    assert answer(large, job).computed_tokens == 100


def test_an_interrupted_action_keeps_its_slot_beyond_the_budget(serve: Serve) -> None:
    gate = Gate()
    actions, completions = serve(Toy(2, before=gate)), serve(Toy(1))
    actions.resize(0)
    acting = actions.submit(ACTION)
    gate.wait()
    wanted = completions.submit(COMPLETION)
    gate.admit()
    wanted.future.result(30)
    gate.open()
    acting.future.result(30)
    assert answer(actions, ACTION).computed_tokens == 1


def test_a_waiting_job_that_is_cancelled_does_not_wait_for_the_running_one(serve: Serve) -> None:
    gate = Gate()
    actions, completions = serve(Toy(2, before=gate)), serve(Toy(1))
    acting = actions.submit(ACTION)
    gate.wait()
    waiting = completions.submit(replace(COMPLETION, priority=Priority.IDLE))
    waiting.cancel()
    gate.admit()  # one chunk
    assert waiting.future.result(30).finish == (Finish.CANCELLED,)
    assert not acting.future.done()
    gate.open()


def test_closing_one_leaves_the_other_running(serve: Serve, scheduler: Scheduler) -> None:
    gate = Gate()
    small = Toy(1)
    actions, completions = serve(Toy(2, before=gate)), serve(small)
    answer(completions, COMPLETION)
    tickets = [actions.submit(replace(ACTION, key=key)) for key in "abc"]
    gate.wait()
    going_on = completions.submit(replace(COMPLETION, key="other", priority=Priority.IDLE, max_new_tokens=20))
    closing = threading.Thread(target=actions.close)
    closing.start()
    wait_until_closing(actions)
    assert closing.is_alive()  # the chunk is still being computed
    gate.open()
    closing.join(30)
    assert [ticket.future.result(0).finish for ticket in tickets] == [(Finish.CANCELLED,)] * 3
    assert going_on.future.result(30).generated_tokens == 20
    one = KVCache(small.kv_shape)
    one.reserve(23)
    assert scheduler.with_cache(taken) == 2 * one.nbytes
    assert answer(completions, COMPLETION).computed_tokens == 1
    assert answer(actions, ACTION).finish == (Finish.CANCELLED,)
    actions.close()


def test_a_closed_model_is_freed_while_the_worker_waits(serve: Serve) -> None:
    completions = serve(Toy(1))
    model = Toy(2)
    actions = serve(model)
    answer(actions, ACTION)
    gone = weakref.ref(model)
    actions.close()
    del actions, model
    gc.collect()
    assert gone() is None
    assert answer(completions, COMPLETION).generated_tokens == 3


def test_closing_the_worker_ends_the_jobs_of_all(scheduler: Scheduler, serve: Serve) -> None:
    gate = Gate()
    engines = [serve(Toy(1, before=gate)), serve(Toy(2, before=gate))]
    tickets = [engine.submit(replace(ACTION, key=key)) for engine in engines for key in "ab"]
    gate.wait()
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    for engine in engines:
        wait_until_closing(engine)
    gate.open()
    closing.join(30)
    assert [ticket.future.result(0).finish for ticket in tickets] == [(Finish.CANCELLED,)] * 4
    for engine in [*engines, serve(Toy(3))]:
        assert answer(engine, COMPLETION).finish == (Finish.CANCELLED,)
        engine.close()


def test_a_future_that_its_owner_gave_up_does_no_harm(serve: Serve) -> None:
    """asyncio cancels the future that it waits for; the scheduler's answer must still find it open."""
    gate = Gate()
    engine = serve(Toy(1, before=gate))
    ticket = engine.submit(COMPLETION)
    assert not ticket.future.cancel()
    gate.open()
    assert ticket.future.result(30).generated_tokens == 3


# Random lives of both

keys = st.sampled_from("ab")
engines = st.integers(0, 1)
jobs = st.builds(
    Job,
    key=keys,
    ids=st.one_of(
        st.integers(1, 2 * CHUNK).map(prompt),  # they begin alike, so that slots are reused
        st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=5),
    ),
    max_new_tokens=st.integers(0, 12),
    sampling=st.builds(Sampling, st.sampled_from([0.0, 1.0]), st.just(1.0), st.integers(0, 9)),
    priority=st.sampled_from(Priority),
    draft=st.sampled_from([(), tuple(range(VOCAB)) * 3]),
)
events = st.one_of(
    st.tuples(st.just("submit"), engines, jobs),
    st.tuples(st.just("submit"), engines, jobs),
    st.tuples(st.just("compute"), engines, st.integers(1, 6)),
    st.tuples(st.just("cancel"), engines, st.integers(0, 9)),
    st.tuples(st.just("release"), engines, keys),
    st.tuples(st.just("resize"), engines, st.sampled_from([0, 3000, BUDGET])),
    st.tuples(st.just("close"), st.just(1), st.none()),
)


@given(st.lists(events, max_size=30))
@settings(max_examples=300, deadline=None)
def test_random_lives(lives: list[tuple[str, int, object]]) -> None:
    """However jobs come, give way and end: each gets a result that is right as far as it goes; slots are whole."""
    gate, scheduler = Gate(), Scheduler()

    def before() -> None:
        assert scheduler.with_cache(all_whole)  # a failure here becomes the job's
        gate()

    models = [Toy(1, before=before), Toy(2, before=before)]
    served = [LocalEngine(model, INFO, BUDGET, scheduler) for model in models]
    asked: list[tuple[int, Job, Ticket]] = []
    closing: list[threading.Thread] = []
    for kind, number, value in lives:
        engine = served[number]
        if isinstance(value, Job):
            asked.append((number, value, engine.submit(value)))
        elif kind == "compute":
            gate.admit(int(str(value)))
        elif kind == "cancel" and asked:
            asked[int(str(value)) % len(asked)][2].cancel()
        elif kind == "release":
            engine.release(str(value))
        elif kind == "resize":
            engine.resize(int(str(value)))
        elif kind == "close":  # waits for the pass that the gate may be holding
            closing.append(threading.Thread(target=engine.close))
            closing[-1].start()
    gate.open()
    for thread in closing:
        thread.join(30)
    for number, job, ticket in asked:
        result = ticket.future.result(30)
        expected = alone(number + 1, job)
        (written,), (finish,) = result.candidates, result.finish
        assert written == expected[: len(written)]
        assert finish is not Finish.LENGTH or written == expected
        assert finish is not Finish.LENGTH or result.prompt_tokens == result.cached_tokens + result.computed_tokens
    assert scheduler.with_cache(all_whole)
    assert not closing or not scheduler.with_cache(lambda slots: slots.latest(served[1].served))
    assert len(models[0].threads | models[1].threads) <= 1
    scheduler.close()
    assert scheduler.with_cache(taken) == 0
