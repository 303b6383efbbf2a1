"""When an engine is asked only once the typing pauses."""

import time

import pytest

from starfill.jobs import Finish, Priority
from starfill.remote.debounce import COUNT, LONGEST, QUICK, Debounce


def paced(*seconds):
    pace = Debounce()
    for each in seconds:
        pace.began(each)
    return pace


@pytest.mark.parametrize(
    ("firsts", "delay"),
    [
        ([], 0),
        ([9.0, 9.0], 0),  # of two new documents, say
        ([QUICK] * 5, 0),
        ([0.05, 0.05, 9.0, 0.05, 9.0], 0),
        ([QUICK + 0.1] * 3, 0.1),
        ([9.0] * 3, LONGEST),
        ([9.0] * 9 + [0.05] * 3, 0),
    ],
)
def test_the_pause_that_it_waits_for(firsts, delay):
    assert paced(*firsts).delay == pytest.approx(delay)


def test_what_was_given_up_counts_only_where_it_took_longer():
    pace = paced(*[0.3] * COUNT)
    for _ in range(COUNT):
        pace.gave_up(0.2)
    assert pace.delay == pytest.approx(0.3 - QUICK)
    for _ in range(COUNT):
        pace.gave_up(0.5)
    assert pace.delay == pytest.approx(0.5 - QUICK)


def test_a_slow_engine_is_asked_once_the_typing_pauses(fake, opened):
    engine = fake("vllm", pace=0.01)
    found = opened(engine)
    for _ in range(COUNT):
        found.engine.debounce.began(5.0)
    began = time.perf_counter()
    tickets = [found.engine.submit(found.job(prompt)) for prompt in ("x", "x =", "x = ")]
    assert [ticket.future.result(10).finish for ticket in tickets[:2]] == [(Finish.SUPERSEDED,)] * 2
    result = tickets[2].future.result(10)
    assert found.text(result.candidates[0]) == "answer"
    assert [asked.prompt for asked in engine.asked] == ["x = "]
    assert result.queue_ms >= LONGEST * 1e3 * 0.9
    assert result.queue_ms + result.prefill_ms <= (time.perf_counter() - began) * 1e3  # it counts once


def test_an_action_does_not_wait(fake, opened, monkeypatch):
    monkeypatch.setattr("starfill.remote.debounce.LONGEST", 3600.0)
    found = opened(fake("vllm"))
    for _ in range(COUNT):
        found.engine.debounce.began(5000.0)
    assert found.ask(priority=Priority.INSTRUCTION).queue_ms < 3600e3


def test_it_is_learned_from_the_answers(fake, opened):
    now, takes = 100.0, QUICK + 0.1

    def slowly(prompt):
        nonlocal now
        now += takes
        return "answer"

    found = opened(fake("vllm", answer=slowly))
    found.engine.clock = lambda: now
    assert found.engine.debounce.delay == 0
    assert found.ask().queue_ms == 0
    for _ in range(COUNT):
        found.ask()
    assert found.engine.debounce.delay == pytest.approx(0.1)
    takes = 0.0
    for _ in range(COUNT):
        found.ask()
    assert found.engine.debounce.delay == 0
