"""A draft changes how fast an answer comes, never which: proposals, verifying, and what stays in the slot."""

from __future__ import annotations

import inspect
import random
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.toy import CONTEXT, INFO, VOCAB, Toy, is_whole
from starfill.app import LocalBackend, Opened
from starfill.engine.generate import Pace, Progress, run
from starfill.engine.job import Finish, Job, Result, Sampling, Ticket
from starfill.engine.kv_cache import KVCache
from starfill.engine.local import LocalEngine
from starfill.engine.slots import Slot
from starfill.engine.speculate import LEAST, MOST, NEAR, Proposer
from starfill.settings import Settings

A, B, C, D, E, F, G, X, Y, Z = range(100, 110)


# Where the answer stands in the draft


@pytest.mark.parametrize(
    "draft, answer, expected",
    [
        ([A, B, C, D, E], [A], [B, C, D]),
        ([A, B, C, D], [X], []),  # nowhere
        ([A, B, C, D], [X, Y, B], [C, D]),  # one token is enough near the beginning
        ([*[X] * NEAR, A, B], [A], []),  # but not far from it
        ([*[X] * NEAR, A, B, C, D], [A, B, C], [D]),  # three are enough anywhere
        ([A, B, C, D], [D], []),  # nothing is left
        ([A, B, C, X, A, B, C, Y], [A, B, C], [X, A, B]),  # the next of several places
        ([A], [A], []),
        ([A, B], [A, B, A], [B]),
    ],
)
def test_the_place_in_the_draft(draft: list[int], answer: list[int], expected: list[int]) -> None:
    assert list(Proposer(draft).propose(answer, MOST)) == expected


def decoded(draft: Sequence[int], answer: Sequence[int]) -> list[tuple[int, int]]:
    """(proposed, right) of each pass while a model writes exactly `answer`."""
    proposer, known, passes = Proposer(draft), 1, []
    while known < len(answer):
        proposal = list(proposer.propose(answer[:known], len(answer) - known - 1))
        rest = list(answer[known:])
        right = next((i for i, token in enumerate(proposal) if token != rest[i]), len(proposal))
        passes.append((len(proposal), right))
        known += right + 1
    return passes


def test_proposals_grow_while_they_are_right() -> None:
    draft = list(range(200))
    assert [proposed for proposed, _ in decoded(draft, draft)[:5]] == [LEAST, 2 * LEAST, 4 * LEAST, MOST, MOST]


def test_proposals_shrink_when_one_is_wrong() -> None:
    draft = list(range(200))
    answer = [*draft[:60], X + 900, *draft[61:]]
    passes = decoded(draft, answer)
    wrong = next(i for i, (proposed, right) in enumerate(passes) if right < proposed)
    assert passes[wrong - 1][0] == MOST
    assert passes[wrong + 1] == (0, 0)  # behind the new word it stands nowhere
    assert passes[wrong + 2] == (MOST // 2, MOST // 2)
    assert [proposed for proposed, _ in decoded(draft, [0, 900, *draft[5:7], 900, *draft[9:20]])][:3] == [
        LEAST,
        0,
        LEAST,
    ]


def test_repeated_lines_are_taken_one_after_the_other() -> None:
    """Ten lines that differ in their last word only: the passes end within lines, where it could be any of them."""
    draft = [word for number in range(10) for word in (A, B, C, D, E, F, G, number)]
    assert all(proposed == right for proposed, right in decoded(draft, draft))


@pytest.mark.parametrize("kind", ["replaced", "inserted", "removed", "moved"])
def test_copying_goes_on_behind_a_change(kind: str) -> None:
    draft = list(range(100))
    new = [900, 901, 902]
    answer = {
        "replaced": [*draft[:50], *new, *draft[52:]],
        "inserted": [*draft[:50], *new, *draft[50:]],
        "removed": [*draft[:50], *draft[55:]],
        "moved": [*draft[60:80], *draft[:60], *draft[80:]],
    }[kind]
    passes = decoded(draft, answer)
    assert len(passes) < len(answer) / 4, passes


@given(st.lists(st.integers(0, 4), max_size=40), st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_a_proposal_is_a_piece_of_the_draft(draft: list[int], answer: list[int]) -> None:
    proposer = Proposer(draft)
    for known in range(1, len(answer) + 1):
        most = len(answer) - known
        proposal = list(proposer.propose(answer[:known], most))
        assert len(proposal) <= min(most, MOST)
        assert any(draft[start : start + len(proposal)] == proposal for start in range(len(draft) + 1))


def test_looking_a_place_up_does_not_go_through_the_draft() -> None:
    """Ten thousand times in a draft of a hundred thousand equal tokens: minutes, if each went through it."""
    proposer, answer, began = Proposer([A] * 100_000), [A] * 10, time.process_time()
    for _ in range(10_000):
        proposer.propose(answer, MOST)
    assert time.process_time() - began < 5


# The same answer as without


def finished(job: Job, model: Toy, context_length: int = CONTEXT) -> tuple[Result, Slot]:
    """A job run to its end in a slot of its own."""
    slot, progress = Slot(KVCache(model.kv_shape)), Progress(job, time.perf_counter())
    for _ in run(model, slot, progress, context_length, Pace()):
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
    plain, left = finished(job, model, context_length)
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
    progress = Progress(job, 0.0)
    for _ in zip(range(pauses), run(model, slot, progress, CONTEXT, Pace()), strict=False):
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
    engine = LocalEngine(toy, INFO, 1 << 20)
    yield engine
    engine.close()


COUNTED = [i % VOCAB for i in range(100)]


def test_a_copy_takes_few_steps(engine: LocalEngine, toy: Toy) -> None:
    result = engine.submit(Job("a", [3, 11], 60, draft=COUNTED)).future.result(30)
    assert list(result.candidates[0]) == COUNTED[:60]
    assert toy.calls[1:] == [1 + LEAST, 1 + 2 * LEAST, 1 + 4 * LEAST, 1 + MOST, 1 + MOST, 3]
    assert (result.steps, result.generated_tokens) == (6, 60)


def test_steps_count_passes(engine: LocalEngine, toy: Toy) -> None:
    assert engine.submit(Job("a", [3, 11], 8)).future.result(30).steps == 7
    assert engine.submit(Job("b", [3, 11], 8, candidates=3)).future.result(30).steps == 7
    assert engine.submit(Job("c", [3, 11], 0)).future.result(30).steps == 0


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
    assert result.steps == 2
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
    opened = LocalBackend().open(Settings())
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
