"""The engine as its users see it: jobs, priorities, cancelling, slots; warm answers equal cold ones."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from engine.toy import wait_until_closing
from starfill.engine.chunking import CHUNK
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.loading.loader import Loaded, load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.local_engine import LocalEngine
from starfill.jobs import Finish, Job, Priority, Result, Sampling, Ticket

VOCAB = 300
MakeEngine = Callable[..., LocalEngine]


@pytest.fixture(scope="module")
def loaded(make_checkpoint: MakeCheckpoint) -> Loaded:
    return load_model(OpenedCheckpoint.open(make_checkpoint(Layout(4, 32), n_positions=1024)), torch.device("cpu"))


@pytest.fixture
def make_engine(loaded: Loaded) -> Iterator[MakeEngine]:
    engines: list[LocalEngine] = []

    def make(cache_bytes: int = 1 << 26, model: object = loaded.model) -> LocalEngine:
        engines.append(LocalEngine(model, loaded.info, cache_bytes))  # type: ignore[arg-type]
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def prompt(length: int, seed: int = 0) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(VOCAB) for _ in range(length)]


def answer(engine: LocalEngine, job: Job) -> Result:
    return engine.submit(job).future.result(60)


class Gate:
    """A model that waits for a permit before each call, so that a test decides what runs when."""

    def __init__(self, loaded: Loaded) -> None:
        self._model = loaded.model
        self.kv_shape = loaded.model.kv_shape
        self.permits = threading.Semaphore(0)
        self.arrived = threading.Semaphore(0)
        self.calls: list[int] = []  # tokens per call

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor:
        self.arrived.release()
        assert self.permits.acquire(timeout=30)
        self.calls.append(len(ids))
        return self._model(ids, cache, last)

    def open(self) -> None:
        self.permits.release(10_000)


def test_generates_up_to_the_limit(make_engine: MakeEngine) -> None:
    result = answer(make_engine(), Job("a", prompt(300), 7))
    assert [len(ids) for ids in result.candidates] == [7]
    assert result.finish == (Finish.LENGTH,)
    assert (result.prompt_tokens, result.cached_tokens, result.computed_tokens) == (300, 0, 300)
    assert result.generated_tokens == 7
    assert result.prefill_ms > 0 < result.decode_ms


def test_an_appended_token_costs_one(make_engine: MakeEngine) -> None:
    engine = make_engine()
    ids = prompt(300)
    answer(engine, Job("a", ids, 4))
    assert answer(engine, Job("a", [*ids, 5], 4)).computed_tokens == 1
    assert answer(engine, Job("a", [*ids, 5], 4)).computed_tokens == 1  # the last one, for its logits
    assert answer(engine, Job("b", prompt(300, 1), 4)).computed_tokens == 300


def test_what_was_generated_need_not_be_computed_again(make_engine: MakeEngine) -> None:
    engine = make_engine()
    first = answer(engine, Job("a", prompt(50), 8))
    accepted = [*prompt(50), *first.candidates[0]]
    assert answer(engine, Job("a", accepted, 4)).computed_tokens == 1


def test_warm_equals_cold_over_random_edits(make_engine: MakeEngine) -> None:
    """A thousand edits to a prompt: what the slot kept never changes the answer. Not one token may differ."""
    warm, cold = make_engine(), make_engine()
    rng = random.Random(7)
    for sequence in range(80):
        ids = prompt(rng.randrange(1, 300), sequence)
        for _ in range(rng.randrange(5, 25)):
            ids = edited(ids, rng)
            job = Job("document", ids, rng.randrange(1, 6))
            result = answer(warm, job)
            cold.release("document")
            assert result.candidates == answer(cold, job).candidates, (sequence, len(ids))


def edited(ids: list[int], rng: random.Random) -> list[int]:
    """Typing, pasting, deleting, replacing somewhere, or undoing a lot."""
    at = rng.choice([len(ids), len(ids), len(ids), rng.randrange(len(ids) + 1)])
    inserted = [rng.randrange(VOCAB) for _ in range(rng.choice([0, 1, 1, 2, 3, 40]))]
    removed = rng.choice([0, 0, 1, 2, 10])
    changed = [*ids[:at], *inserted, *ids[at + removed :]]
    return changed[-400:] or [0]


def test_stop_ids_and_on_token_end_a_candidate(make_engine: MakeEngine) -> None:
    engine = make_engine()
    free = answer(engine, Job("a", prompt(40), 10)).candidates[0]
    stopped = answer(engine, Job("a", prompt(40), 10, stop_ids=frozenset({free[4]})))
    assert stopped.candidates[0] == free[: free.index(free[4])]
    assert stopped.finish == (Finish.STOP,)
    seen: list[tuple[int, int]] = []

    def enough(candidate: int, token: int) -> bool:
        seen.append((candidate, token))
        return len(seen) == 3

    assert answer(engine, Job("a", prompt(40), 10, on_token=enough)).candidates[0] == free[:3]
    assert seen == [(0, token) for token in free[:3]]


def test_allowed_ids_constrain_the_beginning(make_engine: MakeEngine) -> None:
    def allowed(ids: Sequence[int]) -> Sequence[int] | None:
        return [[17, 23], [5]][len(ids)] if len(ids) < 2 else None

    ids = answer(make_engine(), Job("a", prompt(40), 6, allowed=allowed)).candidates[0]
    assert ids[0] in (17, 23)
    assert ids[1] == 5
    assert len(ids) == 6


def test_the_last_position_ends_the_answer(make_engine: MakeEngine) -> None:
    result = answer(make_engine(), Job("a", prompt(1020), 50))
    assert result.finish == (Finish.LENGTH,)
    assert result.generated_tokens == 5  # positions 1020..1023 are fed, the fifth token follows the last of them


def test_a_prompt_that_does_not_fit_is_refused(make_engine: MakeEngine) -> None:
    for ids in ([], prompt(1024)):
        with pytest.raises(ValueError, match="prompt tokens"):
            make_engine().submit(Job("a", ids, 1))


def test_candidates_are_sampled_and_reproducible(make_engine: MakeEngine) -> None:
    engine = make_engine()
    job = Job("a", prompt(40), 8, sampling=Sampling(1.0, 0.95, seed=3), candidates=3)
    first, second = answer(engine, job), answer(engine, job)
    assert first.candidates == second.candidates
    assert len(set(first.candidates)) == 3
    assert first.generated_tokens == 24
    accepted = Job("a", [*prompt(40), *first.candidates[0]], 1)
    assert answer(engine, accepted).computed_tokens == 1  # the first candidate's KV is what stays


def test_a_newer_job_of_the_same_key_supersedes(make_engine: MakeEngine, loaded: Loaded) -> None:
    gate = Gate(loaded)
    engine = make_engine(model=gate)
    older = engine.submit(Job("a", prompt(CHUNK * 3), 5))
    assert gate.arrived.acquire(timeout=30)  # in its first chunk
    newer = engine.submit(Job("a", [*prompt(CHUNK * 3), 1], 5))
    gate.open()
    assert newer.future.result(30).cached_tokens == CHUNK  # what the older had computed is kept
    result = older.future.result(30)
    assert result.finish == (Finish.SUPERSEDED,)
    assert result.computed_tokens == CHUNK  # interrupted within one chunk


def test_cancelling_stops_before_the_next_token(make_engine: MakeEngine, loaded: Loaded) -> None:
    engine = make_engine()
    ticket: list[Ticket] = []
    submitted = threading.Event()

    def cancel_at_third(candidate: int, token: int) -> bool:
        submitted.wait(30)
        count.append(token)
        if len(count) == 3:
            ticket[0].cancel()
        return False

    count: list[int] = []
    ticket.append(engine.submit(Job("a", prompt(40), 50, on_token=cancel_at_third)))
    submitted.set()
    result = ticket[0].future.result(30)
    assert result.finish == (Finish.CANCELLED,)
    assert len(result.candidates[0]) == 3
    # The slot is still exactly what its KV state says: the next answer is right.
    again = answer(engine, Job("a", prompt(40), 6))
    assert again.candidates == answer(make_engine(), Job("a", prompt(40), 6)).candidates


def test_cancelling_before_the_start_and_twice(make_engine: MakeEngine, loaded: Loaded) -> None:
    gate = Gate(loaded)
    engine = make_engine(model=gate)
    running = engine.submit(Job("a", prompt(10), 1))
    waiting = engine.submit(Job("b", prompt(10), 1))
    waiting.cancel()
    waiting.cancel()
    gate.open()
    assert waiting.future.result(30).finish == (Finish.CANCELLED,)
    assert running.future.result(30).finish == (Finish.LENGTH,)
    running.cancel()


def test_a_completion_goes_before_an_idle_prefill(make_engine: MakeEngine, loaded: Loaded) -> None:
    gate = Gate(loaded)
    engine = make_engine(model=gate)
    idle = engine.submit(Job("a", prompt(CHUNK * 4), 0, priority=Priority.IDLE))
    assert gate.arrived.acquire(timeout=30)
    wanted = engine.submit(Job("b", prompt(10, 1), 2))
    gate.open()
    assert wanted.future.result(30).generated_tokens == 2
    assert idle.future.result(30).computed_tokens == CHUNK * 4  # it went on afterwards
    assert gate.calls[:4] == [CHUNK, 10, 1, CHUNK]


def test_least_recently_used_slots_are_dropped(make_engine: MakeEngine, loaded: Loaded) -> None:
    one = KVCache(loaded.model.kv_shape)
    one.reserve(128)
    engine = make_engine(cache_bytes=2 * one.nbytes)
    jobs = {key: Job(key, prompt(100, seed), 1) for seed, key in enumerate("abc")}
    for key in ("a", "b", "a", "c"):
        answer(engine, jobs[key])
    assert answer(engine, jobs["a"]).computed_tokens == 1
    assert answer(engine, jobs["b"]).computed_tokens == 100


def test_a_smaller_budget_holds_from_the_next_job_on(make_engine: MakeEngine) -> None:
    engine = make_engine()
    answer(engine, Job("a", prompt(100), 1))
    engine.resize(0)
    answer(engine, Job("b", prompt(100, 1), 1))
    assert answer(engine, Job("a", prompt(100), 1)).computed_tokens == 100


def test_an_error_reaches_its_caller_and_the_engine_goes_on(make_engine: MakeEngine) -> None:
    def broken(candidate: int, token: int) -> bool:
        raise RuntimeError("broken callback")

    engine = make_engine()
    with pytest.raises(RuntimeError, match="broken callback"):
        answer(engine, Job("a", prompt(10), 3, on_token=broken))
    result = answer(engine, Job("a", prompt(10), 3))
    assert (result.cached_tokens, result.generated_tokens) == (0, 3)  # what an error leaves behind isn't used again


def test_closing_ends_the_thread(make_engine: MakeEngine) -> None:
    engine = make_engine()
    thread = engine.scheduler.with_cache(lambda slots: threading.current_thread())
    assert thread.is_alive()
    engine.close()
    assert not thread.is_alive()


def test_closing_ends_every_job(make_engine: MakeEngine, loaded: Loaded) -> None:
    gate = Gate(loaded)
    engine = make_engine(model=gate)
    tickets = [engine.submit(Job(key, prompt(CHUNK * 2), 5)) for key in "abc"]
    assert gate.arrived.acquire(timeout=30)
    closing = threading.Thread(target=engine.close)
    closing.start()
    wait_until_closing(engine)
    gate.open()
    closing.join(30)
    for ticket in tickets:
        assert ticket.future.result(30).finish == (Finish.CANCELLED,)
    assert engine.submit(Job("d", prompt(3), 1)).future.result(30).finish == (Finish.CANCELLED,)
