"""When a failing engine is asked again, by a clock of the test's."""

import pytest

from starfill.errors import EngineError
from starfill.remote.health import FIRST, LONGEST, PATIENCE, Health


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def health(clock, told):
    return Health(told.append, clock)


def failure(sentence="gone", later=0.0):
    return EngineError(sentence, again=True, later=later)


def test_nothing_has_happened(health, told):
    assert (health.rest, health.trouble, told) == (0, None, [])
    health.worked()
    health.answers()
    assert told == []


def test_each_attempt_that_fails_doubles_the_rest(health, clock):
    rests = []
    for _ in range(8):
        health.failed(failure())
        rests.append(health.rest)
        clock.now += health.rest
        assert health.rest == 0
    assert rests == [FIRST, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST]


def test_failures_of_the_same_moment_are_one(health, clock, told):
    for _ in range(50):
        health.failed(failure())
    assert health.rest == FIRST
    assert told == ["gone"]
    clock.now += FIRST / 2
    health.failed(failure("worse"))
    assert health.rest == FIRST  # counted from the last one
    assert told == ["gone", "worse"]


@pytest.mark.parametrize(
    ("later", "rest"),
    [(0, FIRST), (0.1, FIRST), (7, 7), (PATIENCE, PATIENCE), (1e9, PATIENCE), (float("inf"), PATIENCE)],
)
def test_an_engine_may_ask_for_a_rest_itself(health, later, rest):
    health.failed(failure(later=later))
    assert health.rest == rest


def test_a_longer_rest_stands(health, clock):
    health.failed(failure(later=20))
    clock.now += 5
    health.failed(failure())
    assert health.rest == 15


def test_an_engine_that_answers_is_asked_at_once_but_is_not_trusted_yet(health, clock, told):
    health.failed(failure())
    clock.now += FIRST
    health.failed(failure())
    assert health.answers()
    assert (health.rest, health.trouble, told) == (0, None, ["gone", None])
    health.failed(failure())
    assert health.rest == 4
    assert told == ["gone", None, "gone"]


def test_where_probes_succeed_and_jobs_fail_the_trouble_stays_until_a_job_works(health, clock, told):
    health.failed(failure())
    assert health.answers()
    health.failed(failure())
    for _ in range(5):
        assert not health.answers()
        clock.now += health.rest
        health.failed(failure())
    assert (health.trouble, told) == ("gone", ["gone", None, "gone"])
    assert health.rest > 0
    health.worked()
    assert (health.trouble, told[-1]) == (None, None)
    health.failed(failure())
    assert health.answers()


def test_a_probe_that_fails_begins_anew(health):
    health.failed(failure())
    health.answers()
    health.failed(failure())
    assert not health.answers()
    health.failed(failure(), probe=True)
    assert health.answers()


def test_an_engine_that_has_worked_is_as_new(health, clock, told):
    for _ in range(3):
        health.failed(failure())
        clock.now += health.rest
    health.worked()
    health.worked()
    assert (health.rest, health.trouble, told) == (0, None, ["gone", None])
    health.failed(failure())
    assert health.rest == FIRST
