"""When one thread computes instead of all: by the times that passes take."""

from __future__ import annotations

import pytest

from starfill.engine.native.team import ALONE, LONGEST, PATIENCE, Team


def test_an_idle_machine_keeps_all_threads() -> None:
    team = Team(4)
    for step in range(5000):
        assert team.threads == 4
        team.learn(1, 0.002 * (1 + step % 7 / 10))  # 70 % more or less


def test_slow_passes_leave_one_thread_and_it_is_tried_again() -> None:
    team = Team(2)
    for _ in range(10):
        team.learn(1, 0.002)
    for _ in range(PATIENCE):
        assert team.threads == 2
        team.learn(1, 0.08)
    alone = 0
    while team.threads == 1:
        team.learn(1, 0.004)
        alone += 1
    assert alone == ALONE
    team.learn(1, 0.002)
    assert team.threads == 2, "the machine is idle again"


def test_a_single_slow_pass_is_nothing() -> None:
    team = Team(2)
    for _ in range(100):
        team.learn(1, 0.002)
        team.learn(1, 0.09)
        team.learn(1, 0.002)
    assert team.threads == 2


def test_a_machine_that_stays_busy_is_tried_ever_more_rarely() -> None:
    team = Team(2)
    team.learn(1, 0.002)
    tried = 0
    for _ in range(20_000):
        tried += team.threads == 2
        team.learn(1, 0.08 if team.threads == 2 else 0.004)
    assert PATIENCE * 20_000 / (LONGEST + PATIENCE) < tried < 0.01 * 20_000


def test_longer_passes_are_compared_with_their_like() -> None:
    team = Team(2)
    for _ in range(50):
        team.learn(1, 0.002)
        team.learn(128, 0.1)
        team.learn(90, 0.07)
    assert team.threads == 2
    for _ in range(PATIENCE):
        team.learn(128, 0.5)
    assert team.threads == 1


def test_a_context_that_grows_is_no_busy_machine() -> None:
    team = Team(2)
    for length in range(1, 8000):
        team.learn(1, 0.03 + 0.00002 * length)
        assert team.threads == 2


@pytest.mark.parametrize("seconds", [0.001, 1.0])
def test_one_thread_stays_one(seconds: float) -> None:
    team = Team(1)
    for _ in range(10):
        team.learn(1, seconds)
        assert team.threads == 1
