"""A model of twelve words that remembers what it has read: its KV state holds the ids themselves.

Its next token depends on everything before, and read from the KV state alone, so that a slot that isn't exactly its
ids shows up as another answer.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

import torch

from starfill.engine.kv.kv_cache import KVCache, KVShape
from starfill.engine.kv.prefix_cache import PrefixCache, Slot
from starfill.engine.local_engine import LocalEngine
from starfill.engine.prompt_lookup import ROWS, Chances, Costs, Learned
from starfill.jobs import Job, ModelInfo, Priority, Result

VOCAB = 12
CONTEXT = 400
PLENTY = 1 << 30  # bytes for KV states
INFO = ModelInfo("toy", "toy", "cpu", "none", CONTEXT, VOCAB, 8, 0)


class OnDevice(KVShape):
    """As if its states stood in a GPU's memory."""

    @property
    def on_device(self) -> bool:
        return True


class Toy:
    """Counts up, one word after the other, but for one word in `every`, which can be anything.

    salt: another one is another model. before: called on the computing thread before each pass.
    """

    def __init__(
        self, salt: int = 0, every: int = 5, before: Callable[[], object] = lambda: None, on_device: bool = False
    ) -> None:
        self.kv_shape = (OnDevice if on_device else KVShape)(1, 1, 1, torch.float32, torch.device("cpu"))
        self.calls: list[int] = []  # tokens per call
        self.threads: set[int] = set()
        self._salt, self._every, self._before = salt, every, before

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor:
        self._before()
        self.calls.append(len(ids))
        self.threads.add(threading.get_ident())
        cache.reserve(len(ids))
        written = ids.float()[None, :, None]
        cache.write(0, written, -written)
        cache.advance(len(ids))
        assert cache.length <= CONTEXT
        read = read_ids(cache)
        rows = [self._logits(read[: cache.length - back]) for back in range(last - 1, -1, -1)]
        return torch.tensor(rows) if rows else torch.empty(0, VOCAB)

    def step(self, ids: torch.Tensor, caches: Sequence[KVCache]) -> torch.Tensor:
        return torch.cat([self(ids[n : n + 1], cache, 1) for n, cache in enumerate(caches)])

    def _logits(self, read: Sequence[int]) -> list[float]:
        rng = random.Random(hash((self._salt, *read)))
        logits = [rng.random() for _ in range(VOCAB)]
        if rng.randrange(self._every):
            logits[(read[-1] + 1) % VOCAB] += 4
        return logits


class Flat(Costs):
    """More rows cost nothing more, whatever is measured."""

    longest_pass = ROWS[-1]

    def of(self, rows: int) -> float:
        return 1.0


class NeverLearning(Chances):
    """Learns nothing: what is proposed depends on the job alone."""

    def learn(self, agreeing: int, right: bool) -> None:
        pass


def eager() -> Learned:
    """Whatever may be right is proposed, the same in each run."""
    return Learned(Flat(), NeverLearning(), NeverLearning())


class Gate:
    """Each pass of a model waits here for a permit, so that a test decides what runs when."""

    def __init__(self) -> None:
        self._arrived, self._permits = threading.Semaphore(0), threading.Semaphore(0)
        self._open = False

    def __call__(self) -> None:
        self._arrived.release()
        assert self._open or self._permits.acquire(timeout=30)

    def admit(self, passes: int = 1) -> None:
        for _ in range(passes):
            self._permits.release()

    def wait(self, passes: int = 1) -> None:
        """Until so many more passes have come to the gate."""
        for _ in range(passes):
            assert self._arrived.acquire(timeout=30)

    def open(self) -> None:
        self._open = True
        self._permits.release()


def read_ids(cache: KVCache) -> list[int]:
    """What the model has read into a KV state."""
    return cache.storage[0][0, 0, : cache.length, 0].int().tolist()


def taken(slots: PrefixCache) -> int:
    """Bytes of all states, wherever they are."""
    return sum(slot.cache.nbytes for slot in slots)


def is_whole(slot: Slot) -> bool:
    """A slot's ids are exactly what its KV state was computed from."""
    return slot.ids == read_ids(slot.cache)


def all_whole(slots: PrefixCache) -> bool:
    return all(map(is_whole, slots))


def prompt(length: int, seed: int = 0) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(VOCAB) for _ in range(length)]


def answer(engine: LocalEngine, job: Job) -> Result:
    return engine.submit(job).future.result(60)


def wait_until_closing(engine: LocalEngine) -> None:
    """Until it takes no more jobs, while another thread closes it."""
    probe = Job(object(), [1], 0, priority=Priority.IDLE)
    while not (ticket := engine.submit(probe)).future.done():
        ticket.cancel()
        time.sleep(0.001)


def same_as_cold(warm: LocalEngine, jobs: Sequence[tuple[str, list[int]]]) -> None:
    """Whatever an engine has computed before changes what it computes, never what it answers."""
    cold = LocalEngine(Toy(), INFO, 0)
    try:
        for key, ids in jobs:
            assert len(ids) + 6 < CONTEXT
            result = answer(warm, Job(key, ids, 6))
            cold.release(key)
            assert result.candidates == answer(cold, Job(key, ids, 6)).candidates
            assert result.cached_tokens + result.computed_tokens == len(ids)
            assert warm.scheduler.with_cache(all_whole)
    finally:
        warm.scheduler.close()
        cold.close()


def alone(job: Job, salt: int = 0) -> tuple[tuple[int, ...], ...]:
    """What is answered where there is no lack of memory."""
    engine = LocalEngine(Toy(salt), INFO, PLENTY)
    try:
        return answer(engine, job).candidates
    finally:
        engine.close()
