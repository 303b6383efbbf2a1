"""How much of a prompt is computed between two chances to give way."""

import time

import pytest

from engine.toy import INFO, Toy
from starfill.engine.generate import CHUNK, LEAST, PAUSE, Pace
from starfill.engine.job import Job
from starfill.engine.local import LocalEngine


@pytest.mark.parametrize(
    ("tokens", "seconds", "chunk"),
    [
        (CHUNK, PAUSE, CHUNK),
        (CHUNK, 0.0, CHUNK),
        (CHUNK, 2 * PAUSE, CHUNK // 2),
        (CHUNK, 100 * PAUSE, LEAST),
        (LEAST, PAUSE / 4, 4 * LEAST),
        (LEAST - 1, 100 * PAUSE, CHUNK),  # too few to tell
    ],
)
def test_a_chunk_takes_as_long_as_a_pause_should(tokens: int, seconds: float, chunk: int) -> None:
    pace = Pace()
    pace.learn(tokens, seconds)
    assert pace.chunk == chunk


def compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_slow_model_computes_less_at_once_also_for_the_next_prompt() -> None:
    model = Toy(before=lambda: compute(4 * PAUSE))
    engine = LocalEngine(model, INFO, 1 << 20)
    try:
        for key in (1, 2):
            engine.submit(Job(key, [key] * 200, 0)).future.result(30)
    finally:
        engine.close()
    first, second, third, *others = model.calls
    assert (first, third) == (CHUNK, LEAST) and LEAST < second <= CHUNK // 4
    assert max(others) == LEAST and sum(model.calls) == 2 * 200


def test_waiting_is_not_computing() -> None:
    model = Toy(before=lambda: time.sleep(2 * PAUSE))
    engine = LocalEngine(model, INFO, 1 << 20)
    try:
        engine.submit(Job("a", [1] * (2 * CHUNK), 0)).future.result(30)
    finally:
        engine.close()
    assert model.calls == [CHUNK, CHUNK]
