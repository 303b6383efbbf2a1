"""How much of a prompt is computed between two chances to give way."""

import time

import pytest
import torch

from engine.toy import INFO, Toy
from starfill.engine import chunking
from starfill.engine.chunking import (
    CHUNK,
    DEVICE_CHUNK,
    DEVICE_LEAST,
    DEVICE_PAUSE,
    LEAST,
    PAUSE,
    ChunkSize,
    largest_chunk,
)
from starfill.engine.local_engine import LocalEngine
from starfill.jobs import Job


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
    chunk_size = ChunkSize()
    chunk_size.learn(tokens, seconds)
    assert chunk_size.tokens == chunk


@pytest.mark.parametrize(
    ("tokens", "seconds", "chunk"),
    [
        (DEVICE_CHUNK, DEVICE_PAUSE, DEVICE_CHUNK),
        (DEVICE_LEAST, 0.0, DEVICE_CHUNK),
        (DEVICE_CHUNK, 3 * DEVICE_PAUSE, 10 * CHUNK),  # 1365, in whole tiles
        (DEVICE_CHUNK, 1000 * DEVICE_PAUSE, DEVICE_LEAST),
        (DEVICE_LEAST - 1, 1000 * DEVICE_PAUSE, DEVICE_CHUNK),  # mostly what a pass costs whatever it computes
    ],
)
def test_a_device_computes_more_at_once(tokens: int, seconds: float, chunk: int) -> None:
    chunk_size = ChunkSize(on_device=True)
    assert chunk_size.tokens == DEVICE_CHUNK == largest_chunk(torch.device("cuda"))
    chunk_size.learn(tokens, seconds)
    assert chunk_size.tokens == chunk


def test_where_memory_is_short_less_is_computed_whatever_time_there_is() -> None:
    chunk_size = ChunkSize(on_device=True)
    tried = []
    while chunk_size.lower(1000):
        tried.append(chunk_size.tokens)
        chunk_size.learn(chunk_size.tokens, 0.0)
        assert chunk_size.tokens <= tried[-1]
    assert tried == [500, 250, 125, 62, 31, 16]
    assert not ChunkSize().lower(LEAST)


class Clocks:
    """A thread's own time, and everybody's."""

    def __init__(self) -> None:
        self.thread = self.wall = 0.0

    def compute(self, seconds: float) -> None:
        self.thread += seconds
        self.wall += seconds

    def wait(self, seconds: float) -> None:
        self.wall += seconds

    def chunk_size(self, on_device: bool = False) -> ChunkSize:
        return ChunkSize(on_device=on_device, thread_time=lambda: self.thread, wall_time=lambda: self.wall)


def test_the_processor_is_measured_by_the_threads_own_time_and_a_device_by_everybodys() -> None:
    assert ChunkSize().clock is time.thread_time
    assert ChunkSize(on_device=True).clock is time.perf_counter


def test_a_slow_model_computes_less_at_once_also_for_the_next_prompt() -> None:
    clocks = Clocks()
    model = Toy(before=lambda: clocks.compute(4 * PAUSE))
    engine = LocalEngine(model, INFO, 1 << 20, chunk_size=clocks.chunk_size())
    try:
        for key in (1, 2):
            engine.submit(Job(key, [key] * 200, 0)).future.result(30)
    finally:
        engine.close()
    first, second, third, *others = model.calls
    assert (first, third) == (CHUNK, LEAST) and LEAST < second <= CHUNK // 4
    assert max(others) == LEAST and sum(model.calls) == 2 * 200


def test_waiting_is_not_computing() -> None:
    clocks = Clocks()
    model = Toy(before=lambda: clocks.wait(2 * PAUSE))
    engine = LocalEngine(model, INFO, 1 << 20, chunk_size=clocks.chunk_size())
    try:
        engine.submit(Job("a", [1] * (2 * CHUNK), 0)).future.result(30)
    finally:
        engine.close()
    assert model.calls == [CHUNK, CHUNK]


def test_waiting_for_a_device_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunking, "DEVICE_LEAST", CHUNK)
    clocks = Clocks()
    model = Toy(before=lambda: clocks.wait(DEVICE_PAUSE), on_device=True)
    engine = LocalEngine(model, INFO, 1 << 20, chunk_size=clocks.chunk_size(on_device=True))
    try:
        for key in (1, 2):
            engine.submit(Job(key, [key] * 200, 0)).future.result(30)
    finally:
        engine.close()
    assert model.calls[0] == 200 and max(model.calls[1:]) == CHUNK
