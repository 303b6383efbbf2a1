"""Proposals change how fast an answer comes, never which: verifying, and what stays in the slot."""

from __future__ import annotations

import inspect
import random
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.toy import CONTEXT, INFO, VOCAB, Flat, Toy, eager, is_whole
from starfill.app.backend import LocalBackend, Opened
from starfill.config.settings import Settings
from starfill.engine import decoding
from starfill.engine.chunking import ChunkSize
from starfill.engine.decoding import JobProgress
from starfill.engine.generate import run
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.kv.prefix_cache import Slot
from starfill.engine.local_engine import LocalEngine
from starfill.engine.prompt_lookup import LONGEST, MOST, Chances, Learned, Proposer
from starfill.engine.sampling import pick
from starfill.jobs import Finish, Job, Result, Sampling, Ticket

# The same answer as without


@contextmanager
def no_proposals() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Proposer, "propose", lambda *_, **__: [])
        yield


def finished(job: Job, model: Toy, context_length: int = CONTEXT) -> tuple[Result, Slot]:
    """A job run to its end in a slot of its own."""
    slot, progress = Slot(KVCache(model.kv_shape)), JobProgress(job, time.perf_counter())
    for _ in run(model, slot, progress, context_length, ChunkSize(learned=eager())):
        assert is_whole(slot)
    assert is_whole(slot)
    return progress.result(Finish.CANCELLED), slot


words = st.integers(0, VOCAB - 1)
samplings = st.builds(
    Sampling, st.sampled_from([0.0, 0.0, 0.3, 1.0]), st.sampled_from([1.0, 0.9, 0.5]), st.integers(0, 99)
)
counting = st.integers(0, VOCAB - 1).map(lambda first: [(first + i) % VOCAB for i in range(40)])


@given(
    prompt=st.lists(words, min_size=1, max_size=20),
    draft=st.one_of(counting, st.lists(words, min_size=1, max_size=60)),
    sampling=samplings,
    most=st.integers(0, 60),
    stop_ids=st.frozensets(words, max_size=1),
    context_length=st.integers(21, 70),
    constrained=st.lists(st.lists(words, min_size=1, max_size=3), max_size=3),
    enough=st.integers(1, 80),
    every=st.integers(2, 20),
    on_device=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_a_draft_never_changes_the_answer(
    prompt: list[int],
    draft: list[int],
    sampling: Sampling,
    most: int,
    stop_ids: frozenset[int],
    context_length: int,
    constrained: list[list[int]],
    enough: int,
    every: int,
    on_device: bool,
) -> None:
    seen: list[int] = []

    def on_token(candidate: int, token: int) -> bool:
        seen.append(token)
        return len(seen) == enough

    def allowed(ids: Sequence[int]) -> Sequence[int] | None:
        asked.append(tuple(ids))
        return constrained[len(ids)] if len(ids) < len(constrained) else None

    asked: list[tuple[int, ...]] = []
    model = Toy(every=every)
    job = Job("a", prompt, most, stop_ids, sampling, on_token=on_token, allowed=allowed)
    with no_proposals():
        plain, left = finished(job, model, context_length)
    model.kv_shape = Toy(on_device=on_device).kv_shape
    seen_plain, asked_plain = list(seen), list(asked)
    seen.clear()
    asked.clear()
    quick, slot = finished(replace(job, draft=draft), model, context_length)
    assert (quick.candidates, quick.finish) == (plain.candidates, plain.finish)
    assert (seen, asked) == (seen_plain, asked_plain)
    assert slot.ids == left.ids
    assert quick.steps <= plain.steps == len(model.calls) - quick.steps - 2  # and one prefill each


@given(draft=counting, sampling=samplings, pauses=st.integers(0, 40), prompt=st.lists(words, min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_slot_is_whole_wherever_a_job_is_left(
    draft: list[int], sampling: Sampling, pauses: int, prompt: list[int]
) -> None:
    model = Toy(every=10)
    slot, job = Slot(KVCache(model.kv_shape)), Job("a", prompt, 30, sampling=sampling, draft=draft)
    progress = JobProgress(job, 0.0)
    for _ in zip(range(pauses), run(model, slot, progress, CONTEXT, ChunkSize()), strict=False):
        pass
    written = progress.candidates[0]
    assert is_whole(slot)
    assert written == list(finished(replace(job, draft=()), model)[0].candidates[0][: len(written)])
    assert len(written) >= min(pauses - 1, 30) - 1  # one token a pause at least, behind the prompt's


@pytest.fixture
def toy() -> Toy:
    return Toy(every=1_000_000)


@pytest.fixture
def engine(toy: Toy) -> Iterator[LocalEngine]:
    engine = LocalEngine(toy, INFO, 1 << 20, chunk_size=ChunkSize(learned=eager()))
    yield engine
    engine.close()


COUNTED = [i % VOCAB for i in range(100)]


def test_a_copy_takes_few_steps(engine: LocalEngine, toy: Toy) -> None:
    result = engine.submit(Job("a", [3, 11], 60, draft=COUNTED)).future.result(30)
    assert list(result.candidates[0]) == COUNTED[:60]
    assert toy.calls[1:] == [1 + MOST] * 3 + [11]
    assert (result.steps, result.generated_tokens) == (4, 60)


def test_steps_count_passes(engine: LocalEngine, toy: Toy) -> None:
    assert engine.submit(Job("a", [3, 11], 8)).future.result(30).steps == 7
    assert engine.submit(Job("b", [3, 11], 8, candidates=3)).future.result(30).steps == 7
    assert engine.submit(Job("c", [3, 11], 0)).future.result(30).steps == 0


def test_what_the_prompt_says_already_takes_few_steps(engine: LocalEngine) -> None:
    result = engine.submit(Job("a", COUNTED, 60)).future.result(30)
    assert result.generated_tokens == 60 and result.steps <= 5


def test_a_model_learns_while_it_decodes(toy: Toy) -> None:
    """From the first answer on: what passes take, and that copying is right."""
    engine = LocalEngine(toy, INFO, 1 << 20)
    learned = engine.served.chunk_size.learned
    for number in range(8):
        engine.submit(Job(number, COUNTED, 60)).future.result(30)
    engine.close()
    assert learned.costs.longest_pass > 2 and learned.window.of(LONGEST) > 0.9


def test_greedy_tokens_of_a_pass_leave_a_device_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One transfer a pass: none is picked alone, but where something says what may follow."""
    model = Toy(every=1_000_000, on_device=True)
    picked: list[int] = []

    def alone(logits: torch.Tensor, *more: Any) -> torch.Tensor:
        picked.append(len(logits))
        return pick(logits, *more)

    monkeypatch.setattr(decoding, "pick", alone)
    job = Job("a", [3, 11], 60, draft=COUNTED)
    result, _ = finished(job, model)
    assert list(result.candidates[0]) == COUNTED[:60] and len(picked) == 1  # the prompt's own
    picked.clear()
    asked = finished(replace(job, allowed=lambda ids: range(VOCAB) if len(ids) < 7 else None), model)[0]
    assert asked.candidates == result.candidates and len(picked) == 7


def test_a_device_that_is_slow_is_seen_to_be() -> None:
    """A thread that waits for a device computes nothing."""
    for on_device in (False, True):
        clock = [0.0]
        model = Toy(before=lambda clock=clock: clock.append(clock[-1] + 0.02), on_device=on_device)
        chunk_size = ChunkSize(on_device=on_device, thread_time=lambda: 0.0, wall_time=lambda clock=clock: clock[-1])
        for _ in run(model, Slot(KVCache(model.kv_shape)), JobProgress(Job("a", [1], 6), 0.0), CONTEXT, chunk_size):
            pass
        assert (chunk_size.learned.costs.of(1) > 0.01) == on_device


def test_a_draft_is_ignored_for_several_candidates(engine: LocalEngine, toy: Toy) -> None:
    result = engine.submit(Job("a", [3, 11], 20, candidates=2, draft=COUNTED)).future.result(30)
    assert [list(ids) for ids in result.candidates] == [COUNTED[:20]] * 2
    assert result.steps == 19


def test_cancelling_stops_before_the_next_token_of_a_pass(engine: LocalEngine) -> None:
    ticket: list[Ticket] = []
    submitted = threading.Event()
    seen: list[int] = []

    def cancel_within_the_second_pass(candidate: int, token: int) -> bool:
        submitted.wait(30)
        seen.append(token)
        if len(seen) == 6:
            ticket[0].cancel()
        return False

    job = Job("a", [3, 11], 60, draft=COUNTED, on_token=cancel_within_the_second_pass)
    ticket.append(engine.submit(job))
    submitted.set()
    result = ticket[0].future.result(30)
    assert result.finish == (Finish.CANCELLED,)
    assert seen == list(result.candidates[0]) == COUNTED[:6]
    assert result.steps == 1
    again = engine.submit(Job("a", [3, 11], 60)).future.result(30)  # in the slot that was left
    assert list(again.candidates[0]) == COUNTED[:60]


def test_a_proposal_never_passes_the_last_position() -> None:
    """The toy model refuses positions beyond its context."""
    prompt = [3] * (CONTEXT - 6) + [11]
    result, slot = finished(Job("a", prompt, 60, draft=COUNTED), Toy(every=1_000_000))
    assert list(result.candidates[0]) == COUNTED[:6]
    assert len(slot.ids) == CONTEXT


# The bundled model

SOURCE = inspect.getsource(textwrap)
TOKENS = 100


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    """What a pass costs isn't measured: on a busy machine larger ones may seem not worth their time."""
    opened = LocalBackend().open(Settings())
    assert isinstance(opened.engine, LocalEngine)
    opened.engine.served.chunk_size.learned = Learned(Flat(), Chances(), Chances())
    yield opened
    opened.close()


def changed(ids: Sequence[int], length: int, rng: random.Random) -> list[int]:
    """A fifth of the tokens replaced by others, `length` neighbours at a time."""
    ids = list(ids)
    for start in rng.sample(range(0, len(ids), length), len(ids) // length // 5):
        ids[start : start + length] = [rng.randrange(300, 8000) for _ in range(length)]
    return ids


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.4, 0.95, seed=7)], ids=["greedy", "sampled"])
def test_with_a_draft_the_bundled_model_says_the_same(opened: Opened, sampling: Sampling) -> None:
    """A draft that shares 80 % with the answer: the same tokens, in at most half the passes where lines differ.

    Every fifth word another one is the worst way to differ; then each proposal begins anew.
    """
    rng = random.Random(1)
    bounds = {1: 0.65, 10: 0.5}  # of the passes without a draft, by how many neighbours differ
    plain_steps, steps = Counter[int](), Counter[int]()
    for number in range(3):
        ids = opened.tokenizer.encode(SOURCE[number * 1500 : number * 1500 + 900])
        job = Job("a", ids, TOKENS, sampling=sampling)
        with no_proposals():
            plain = opened.engine.submit(job).future.result(60)
        for length in bounds:
            draft = changed(plain.candidates[0], length, rng)
            quick = opened.engine.submit(replace(job, draft=draft)).future.result(60)
            assert quick.candidates == plain.candidates
            plain_steps[length] += plain.steps
            steps[length] += quick.steps
        unrelated = opened.tokenizer.encode(SOURCE[8000:9000])
        assert opened.engine.submit(replace(job, draft=unrelated)).future.result(60).candidates == plain.candidates
    assert all(steps[length] <= plain_steps[length] * bound for length, bound in bounds.items()), (steps, plain_steps)


def test_completions_of_the_bundled_model_take_fewer_steps_than_tokens(opened: Opened) -> None:
    """Lines of a real file, left off within: the prompt itself says much of what follows. The answers are the same."""
    lines = SOURCE.split("\n")
    plain, quick = [], []
    for number in range(60, 240, 15):
        ids = opened.tokenizer.encode("\n".join((*lines[:number], lines[number][:12])))[-300:]
        job = Job("a", ids, 16)
        with no_proposals():
            plain.append(opened.engine.submit(job).future.result(60))
        quick.append(opened.engine.submit(job).future.result(60))
    assert [each.candidates for each in quick] == [each.candidates for each in plain]
    assert sum(each.steps for each in quick) < 0.8 * sum(each.steps for each in plain)
