"""The candidates of a job, decoded together: each is what it would have been alone."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.loading.loader import Loaded, load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.local_engine import LocalEngine
from starfill.engine.sampling import pick
from starfill.jobs import Finish, Job, Priority, Result, Sampling, Ticket

VOCAB = 300
WARM = Sampling(1.0, 0.95, seed=11)
MakeEngine = Callable[..., LocalEngine]


@pytest.fixture(scope="module")
def loaded(make_checkpoint: MakeCheckpoint) -> Loaded:
    return load_model(OpenedCheckpoint.open(make_checkpoint(Layout(4, 32), n_positions=1024)), torch.device("cpu"))


class Counted:
    """A model that writes down how many rows each pass had."""

    def __init__(self, loaded: Loaded) -> None:
        self._model = loaded.model
        self.kv_shape = loaded.model.kv_shape
        self.calls: list[int] = []
        self.steps: list[int] = []

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor:
        self.calls.append(len(ids))
        return self._model(ids, cache, last)

    def step(self, ids: torch.Tensor, caches: Sequence[KVCache]) -> torch.Tensor:
        self.steps.append(len(ids))
        return self._model.step(ids, caches)


@pytest.fixture
def model(loaded: Loaded) -> Counted:
    return Counted(loaded)


@pytest.fixture
def engine(loaded: Loaded, model: Counted) -> Iterator[LocalEngine]:
    engine = LocalEngine(model, loaded.info, 1 << 26)
    yield engine
    engine.close()


def prompt(length: int, seed: int = 0) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(VOCAB) for _ in range(length)]


def answer(engine: LocalEngine, job: Job) -> Result:
    return engine.submit(job).future.result(60)


def test_one_pass_per_token_for_all(engine: LocalEngine, model: Counted) -> None:
    result = answer(engine, Job("a", prompt(40), 6, sampling=WARM, candidates=4))
    assert [len(ids) for ids in result.candidates] == [6, 6, 6, 6]
    assert result.generated_tokens == 24
    assert model.calls == [40]
    assert model.steps == [4] * 5


def test_a_draw_is_what_multinomial_draws() -> None:
    for seed in range(200):
        ours, theirs = (torch.Generator().manual_seed(seed) for _ in range(2))
        logits = torch.randn(VOCAB, generator=torch.Generator().manual_seed(seed)) * 3
        for _ in range(3):
            token = pick(logits, Sampling(1.0), ours)
            assert token == torch.multinomial(logits.softmax(-1), 1, generator=theirs)
        assert torch.equal(ours.get_state(), theirs.get_state())


def test_one_candidate_is_never_batched(engine: LocalEngine, model: Counted) -> None:
    answer(engine, Job("a", prompt(40), 6, sampling=WARM))
    assert model.calls == [40, 1, 1, 1, 1, 1]
    assert model.steps == []


@pytest.mark.parametrize("length", [1, 40, 127, 300])
def test_greedy_is_what_it_is_alone(engine: LocalEngine, length: int) -> None:
    alone = answer(engine, Job("a", prompt(length), 12)).candidates[0]
    assert answer(engine, Job("b", prompt(length), 12, candidates=3)).candidates == (alone,) * 3


def test_a_candidate_does_not_depend_on_the_others(engine: LocalEngine) -> None:
    job = Job("a", prompt(90), 12, sampling=WARM)
    alone = [
        answer(engine, replace(job, sampling=replace(WARM, seed=WARM.seed + number))).candidates[0]  # type: ignore[operator]
        for number in range(6)
    ]
    assert len(set(alone)) == 6
    for count in (2, 3, 6):
        assert list(answer(engine, replace(job, candidates=count)).candidates) == alone[:count]


def test_candidates_that_end_early_leave_the_rest_alone(engine: LocalEngine, model: Counted) -> None:
    job = Job("a", prompt(90), 10, sampling=WARM, candidates=4)
    free = answer(engine, job).candidates
    model.steps.clear()
    lengths = [3, 10, 1, 6]
    written: list[list[int]] = [[] for _ in lengths]

    def on_token(candidate: int, token: int) -> bool:
        written[candidate].append(token)
        return len(written[candidate]) == lengths[candidate]

    result = answer(engine, replace(job, on_token=on_token))
    assert [list(ids[:length]) for ids, length in zip(free, lengths, strict=True)] == written
    assert [list(ids) for ids in result.candidates] == written
    assert result.finish == (Finish.STOP,) * 4  # number 1 was stopped by its last token
    assert model.steps == [3, 3] + [2] * 3  # and the last four tokens of number 1 went alone
    # What stays is the first candidate's state, however early it ended.
    assert answer(engine, Job("a", [*job.ids, *result.candidates[0]], 1)).computed_tokens == 1


def test_stop_ids_end_each_for_itself(engine: LocalEngine) -> None:
    job = Job("a", prompt(60), 10, sampling=WARM, candidates=3)
    free = answer(engine, job).candidates
    stop = free[1][4]
    result = answer(engine, replace(job, stop_ids=frozenset({stop})))
    for ids, whole, finish in zip(result.candidates, free, result.finish, strict=True):
        assert ids == (whole[: whole.index(stop)] if stop in whole else whole)
        assert finish is (Finish.STOP if stop in whole else Finish.LENGTH)


def test_each_is_asked_for_its_own_ids(engine: LocalEngine) -> None:
    asked: list[tuple[int, ...]] = []

    def allowed(ids: Sequence[int]) -> Sequence[int] | None:
        asked.append(tuple(ids))
        return [[17, 23], [5, 6]][len(ids)] if len(ids) < 2 else None

    result = answer(engine, Job("a", prompt(40), 6, sampling=WARM, candidates=8, allowed=allowed))
    assert all(ids[0] in (17, 23) and ids[1] in (5, 6) for ids in result.candidates)
    assert len({ids[:2] for ids in result.candidates}) > 1
    assert asked == [(), *[()] * 7, *[ids[:1] for ids in result.candidates], *[ids[:2] for ids in result.candidates]]


def test_the_last_position_ends_them_all(engine: LocalEngine) -> None:
    result = answer(engine, Job("a", prompt(1020), 50, sampling=WARM, candidates=3))
    assert [len(ids) for ids in result.candidates] == [5, 5, 5]
    assert result.finish == (Finish.LENGTH,) * 3


def test_a_prefill_asks_for_no_tokens(engine: LocalEngine, model: Counted) -> None:
    result = answer(engine, Job("a", prompt(40), 0, candidates=3))
    assert result.candidates == ((), (), ())
    assert result.finish == (Finish.LENGTH,) * 3
    assert model.steps == []


def test_cancelling_stops_before_the_next_step(engine: LocalEngine) -> None:
    ticket: list[Ticket] = []
    submitted = threading.Event()
    written: list[tuple[int, int]] = []

    def cancel_in_the_third_step(candidate: int, token: int) -> bool:
        submitted.wait(30)
        written.append((candidate, token))
        if len(written) == 8:  # the second of the third step: the rest of it still arrives
            ticket[0].cancel()
        return False

    job = Job("a", prompt(40), 50, sampling=WARM, candidates=3)
    ticket.append(engine.submit(replace(job, on_token=cancel_in_the_third_step)))
    submitted.set()
    result = ticket[0].future.result(30)
    assert result.finish == (Finish.CANCELLED,) * 3
    assert [len(ids) for ids in result.candidates] == [3, 3, 3]
    longer = answer(engine, replace(job, max_new_tokens=8))  # on the slot that was left
    assert [ids[:3] for ids in longer.candidates] == list(result.candidates)


def test_a_keystroke_goes_between(engine: LocalEngine, model: Counted) -> None:
    keystroke: list[Ticket] = []

    def submit_at_once(candidate: int, token: int) -> bool:
        if not keystroke:
            keystroke.append(engine.submit(Job("keystroke", prompt(47)[40:], 2)))
        return False

    job = Job("batch", prompt(40), 20, sampling=WARM, candidates=2, priority=Priority.IDLE)
    result = answer(engine, replace(job, on_token=submit_at_once))
    assert keystroke[0].future.result(30).generated_tokens == 2
    assert model.calls == [40, 7, 1]
    assert result.candidates == answer(engine, job).candidates
