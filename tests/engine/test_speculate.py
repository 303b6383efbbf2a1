"""Proposals change how fast an answer comes, never which: what is proposed, verifying, and what stays in the slot."""

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

from engine.toy import CONTEXT, INFO, VOCAB, Toy, eager, is_whole
from starfill.app import LocalBackend, Opened
from starfill.engine import candidates
from starfill.engine.candidates import Progress
from starfill.engine.generate import run
from starfill.engine.job import Finish, Job, Result, Sampling, Ticket
from starfill.engine.kv_cache import KVCache
from starfill.engine.local import LocalEngine
from starfill.engine.pace import Pace
from starfill.engine.sampling import pick
from starfill.engine.slots import Slot
from starfill.engine.speculate import (
    ENOUGH,
    LONGEST,
    MOST,
    NEAR,
    ROWS,
    SAMPLES,
    Chances,
    Costs,
    Learned,
    Proposer,
    best_length,
)
from starfill.settings import Settings

A, B, C, D, E, F, G, X, Y, Z = range(100, 110)


# Where the answer stands in the draft, and in what was there before


def cheap(*seconds: float) -> Costs:
    """Times of passes of 1, 2, 4, 8, 16 rows; without any, more rows cost nothing more."""
    costs = Costs()
    for rows, each in zip(ROWS, seconds or [1.0] * len(ROWS), strict=False):
        for _ in range(ENOUGH):
            costs.learn(rows, each)
    return costs


def proposer(draft: Sequence[int], prompt: Sequence[int] = (), costs: Costs | None = None) -> Proposer:
    return Proposer(prompt, draft, Learned(costs or cheap()))


@pytest.mark.parametrize(
    "draft, answer, expected",
    [
        ([A, B, C, D, E], [A], [B, C, D, E]),
        ([A, B, C, D], [X], []),  # nowhere
        ([A, B, C, D], [X, Y, B], [C, D]),  # one token is enough near the beginning
        ([*[X] * NEAR, A, B], [A], []),  # but not far from it
        ([*[X] * NEAR, A, B, C, D], [A, B, C], [D]),  # three are enough anywhere
        ([A, B, C, D], [D], []),  # nothing is left
        ([A, B, C, X, A, B, C, Y], [A, B, C], [X, A, B, C, Y]),  # the next of several places
        ([A], [A], []),
        ([A, B], [A, B, A], [B]),
    ],
)
def test_the_place_in_the_draft(draft: list[int], answer: list[int], expected: list[int]) -> None:
    assert proposer(draft).propose(answer, MOST) == expected


@pytest.mark.parametrize(
    "prompt, answer, expected",
    [
        ([A, B, C, X, Y], [A, B], [C, X, Y, A, B]),  # on through the answer
        ([A, B, C, A, B, D], [A, B], [D, A, B]),  # where they stood last
        ([Z, A, B, C, X, A, B, D], [Z, A, B], [C, X, A, B, D, Z, A, B]),  # but rather where more agree
        ([A, X, B], [A], []),  # one token says nothing
        ([A, B, C, X, A], [B], [C, X, A, B]),  # across the end of the prompt
        ([A, B], [A, B], [A, B]),
        ([A], [B], []),
    ],
)
def test_the_place_in_the_window(prompt: list[int], answer: list[int], expected: list[int]) -> None:
    assert proposer([], prompt).propose(answer, MOST) == expected


def test_the_likelier_of_draft_and_window_is_proposed() -> None:
    prompt, draft = [A, B, C, D, X], [C, D, Y]
    assert proposer(draft, prompt).propose([A, B, C, D], MOST)[0] == X  # more tokens agree
    learned = Learned(cheap())
    for _ in range(50):
        learned.window.learn(4, right=False)
    assert Proposer(prompt, draft, learned).propose([A, B, C, D], MOST)[0] == Y


def test_a_draft_goes_on_behind_the_prompt() -> None:
    assert proposer([A, B, C, D, E], [X, A, B]).propose([C], MOST) == [D, E]


def decoded(draft: Sequence[int], answer: Sequence[int], learned: Learned | None = None) -> list[tuple[int, int]]:
    """(proposed, right) of each pass while a model writes exactly `answer`."""
    proposer, known, passes = Proposer([], draft, learned or Learned(cheap())), 1, []
    while known < len(answer):
        proposal = proposer.propose(answer[:known], len(answer) - known - 1)
        rest = list(answer[known:])
        right = next((i for i, token in enumerate(proposal) if token != rest[i]), len(proposal))
        passes.append((len(proposal), right))
        known += right + 1
    return passes


def test_repeated_lines_are_taken_one_after_the_other() -> None:
    """Ten lines that differ in their last word only: the passes end within lines, where it could be any of them."""
    draft = [word for number in range(10) for word in (A, B, C, D, E, F, G, number)]
    assert all(proposed == right for proposed, right in decoded(draft, draft))


# How much is proposed


@pytest.mark.parametrize(
    "chances, seconds, expected",
    [
        ([1.0] * 15, [1, 1, 1, 1, 1], 15),
        ([1.0] * 15, [1, 2, 4, 8, 16], 0),  # nothing to gain
        ([1.0] * 15, [1, 1.1, 1.8, 3.7, 8], 3),
        ([0.1] * 15, [1, 1.05, 1.8, 3.7, 8], 1),
        ([0.1] * 15, [1, 1.2, 1.8, 3.7, 8], 0),
        ([0.6] * 15, [1, 1.2, 1.8, 3.7, 8], 1),
        ([0.9] * 15, [1, 1.2, 1.8, 3.7, 8], 3),
        ([0.9] * 5, [1, 1.01, 1.02, 1.03, 1.04], 5),  # no more is there
        ([], [1, 1, 1, 1, 1], 0),
        ([1.0] * 15, [1], 1),  # one step beyond what is known
        ([1.0] * 15, [1, 1.2], 3),
        ([1.0] * 15, [], 1),
    ],
)
def test_as_much_is_proposed_as_its_pass_is_worth(chances: list[float], seconds: list[float], expected: int) -> None:
    assert best_length(chances, cheap(*seconds) if seconds else Costs()) == expected


def test_the_cost_of_a_pass() -> None:
    costs = cheap(1.0, 1.5)
    assert [costs.of(rows) for rows in (1, 2, 3, 4, 8)] == [1.0, 1.5, 2.25, 2.25, 3.375]  # growing as it did
    costs.learn(4, 9.0)
    costs.learn(5, 0.1)
    assert costs.of(4) == 2.25 and costs.reach == 4  # once is not enough
    for _ in range(ENOUGH):
        costs.learn(4, 9.0)
    assert costs.of(4) == pytest.approx(3.0) and costs.reach == 8  # two passes of half the rows take no longer
    costs.learn(4, 1.8)
    assert costs.of(4) == pytest.approx(1.8)  # what is slower was disturbed
    for _ in range(SAMPLES):
        costs.learn(4, 2.0)
    assert costs.of(4) == pytest.approx(2.0)


def test_chances_are_learned() -> None:
    chances = Chances()
    before = [chances.of(n) for n in range(1, LONGEST + 2)]
    assert before == sorted(before) and 0 < before[0] <= 0.5
    for _ in range(100):
        chances.learn(2, right=False)
        chances.learn(3, right=True)
    assert chances.of(2) < 0.1 < 0.9 < chances.of(3) and chances.of(1) == before[0]
    for _ in range(100):
        chances.learn(2, right=True)
    assert chances.of(2) > 0.8


def test_what_is_not_worth_proposing_is_learned_from_too() -> None:
    """A pass of two rows costs twice as much as one: nothing is proposed, until it costs the same."""
    draft, learned = list(range(100)), Learned(cheap(1.0, 2.0))
    assert {proposed for proposed, _ in decoded(draft, draft, learned)} == {0}
    assert learned.draft.of(LONGEST) > 0.9
    other = [1000 + i // 2 if i % 2 else i for i in range(100)]
    before = learned.draft.of(1)
    decoded(draft, other, learned)
    assert learned.draft.of(1) < before


def test_wrong_proposals_end_soon() -> None:
    """The draft is right about each second token only, and a pass of two rows costs half as much again."""
    learned = Learned(cheap(1.0, 1.5, 2.0, 4.0, 8.0))
    draft = list(range(400))
    answer = [token if token % 2 else token + 1000 for token in draft]
    passes = decoded(draft, answer, learned)
    plain = len(answer) - 1
    seconds = sum(learned.costs.of(proposed + 1) for proposed, _ in passes)
    assert seconds < 1.1 * plain


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
def test_a_proposal_is_a_piece_of_a_text(draft: list[int], answer: list[int]) -> None:
    proposer = Proposer([], draft, Learned(cheap()))
    for known in range(1, len(answer) + 1):
        most = len(answer) - known
        proposal = proposer.propose(answer[:known], most)
        assert len(proposal) <= min(most, MOST)
        texts = (draft, answer[:known])
        assert any(text[at : at + len(proposal)] == proposal for text in texts for at in range(len(text) + 1))


def test_looking_a_place_up_does_not_go_through_the_draft() -> None:
    """Ten thousand times in a draft of a hundred thousand equal tokens: minutes, if each went through it."""
    proposer, answer, began = Proposer([], [A] * 100_000, Learned()), [A] * 10, time.process_time()
    for _ in range(10_000):
        proposer.propose(answer, MOST)
    assert time.process_time() - began < 5


# The same answer as without


@contextmanager
def no_proposals() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Proposer, "propose", lambda *_, **__: [])
        yield


def finished(job: Job, model: Toy, context_length: int = CONTEXT) -> tuple[Result, Slot]:
    """A job run to its end in a slot of its own."""
    slot, progress = Slot(KVCache(model.kv_shape)), Progress(job, time.perf_counter())
    pace = Pace()
    pace.learned = eager()
    for _ in run(model, slot, progress, context_length, pace):
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
    engine._served.pace.learned = eager()
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
    learned = engine._served.pace.learned
    for number in range(8):
        engine.submit(Job(number, COUNTED, 60)).future.result(30)
    engine.close()
    assert learned.costs.reach > 2 and learned.window.of(LONGEST) > 0.9


def test_greedy_tokens_of_a_pass_leave_a_device_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One transfer a pass: none is picked alone, but where something says what may follow."""
    model = Toy(every=1_000_000, on_device=True)
    picked: list[int] = []

    def alone(logits: torch.Tensor, *more: Any) -> torch.Tensor:
        picked.append(len(logits))
        return pick(logits, *more)

    monkeypatch.setattr(candidates, "pick", alone)
    job = Job("a", [3, 11], 60, draft=COUNTED)
    result, _ = finished(job, model)
    assert list(result.candidates[0]) == COUNTED[:60] and len(picked) == 1  # the prompt's own
    picked.clear()
    asked = finished(replace(job, allowed=lambda ids: range(VOCAB) if len(ids) < 7 else None), model)[0]
    assert asked.candidates == result.candidates and len(picked) == 7


def test_a_device_that_is_slow_is_seen_to_be() -> None:
    """A thread that waits for a device computes nothing."""
    for on_device in (False, True):
        model = Toy(before=lambda: time.sleep(0.01), on_device=on_device)
        pace = Pace(on_device=on_device)
        for _ in run(model, Slot(KVCache(model.kv_shape)), Progress(Job("a", [1], 6), 0.0), CONTEXT, pace):
            pass
        assert (pace.learned.costs.of(1) > 0.01) == on_device


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
