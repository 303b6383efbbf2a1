"""What is proposed, and how much: from a draft, and from what the prompt says already."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfill.engine.prompt_lookup import (
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
    assert costs.of(4) == 2.25 and costs.longest_pass == 4  # once is not enough
    for _ in range(ENOUGH):
        costs.learn(4, 9.0)
    assert costs.of(4) == pytest.approx(3.0) and costs.longest_pass == 8  # two passes of half the rows take no longer
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
