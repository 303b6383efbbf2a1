"""Prefill in chunks: how many tokens of a prompt a model computes in one pass."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from starfill.engine.kv.kv_cache import KVShape
from starfill.engine.prompt_lookup import Learned

# Between two chunks a job may give way to another one, so a chunk should take no longer than PAUSE.
CHUNK = 128  # tokens, at most
LEAST = 16  # tokens, at least: a large model hardly takes less time for fewer
PAUSE = 0.05  # seconds

# The same on a GPU, which only many rows keep busy.
DEVICE_CHUNK = 4096
DEVICE_LEAST = 512  # each pass dequantizes all weights; with fewer rows that would be most of its work
DEVICE_PAUSE = 0.15

Clock = Callable[[], float]  # seconds


def largest_chunk(device: torch.device) -> int:
    """The largest number of tokens in a chunk. Working memory must be free for that many."""
    return CHUNK if device.type == "cpu" else DEVICE_CHUNK


class ChunkSize:
    """The chunk size of one model, learned from how long its passes take.

    tokens: of the next chunk. A slow model gets small chunks, so that it gives way in time; so does one whose GPU had
    no memory for larger ones. learned: what prompt lookup has learned of the same passes. clock: seconds. On the CPU it
    is the thread's own time, which doesn't run while other programs have the processor; where a GPU computes, the
    thread only waits (see `wait`), so it is the wall clock.
    """

    def __init__(
        self,
        *,
        on_device: bool = False,
        learned: Learned | None = None,
        thread_time: Clock = time.thread_time,
        wall_time: Clock = time.perf_counter,
    ) -> None:
        self._least, self._most = (DEVICE_LEAST, DEVICE_CHUNK) if on_device else (LEAST, CHUNK)
        self._pause = DEVICE_PAUSE if on_device else PAUSE
        self.tokens = self._most
        self.learned = learned or Learned()
        self.clock = wall_time if on_device else thread_time

    def learn(self, tokens: int, seconds: float) -> None:
        """A chunk of so many tokens took so long."""
        if tokens >= self._least:  # for a smaller one the fixed cost of a pass would count for too much
            chunk = min(max(int(self._pause * tokens / max(seconds, 1e-6)), self._least), self._most)
            self.tokens = chunk if chunk < CHUNK else chunk // CHUNK * CHUNK  # a GPU computes in tiles of CHUNK rows

    def lower(self, tokens: int) -> bool:
        """Halve the chunk size for good. tokens: what is left of the prompt. False if it can't be smaller."""
        tried = min(tokens, self.tokens)
        if tried <= LEAST:
            return False
        self._most = self.tokens = max(tried // 2, LEAST)
        return True


def wait(shape: KVShape) -> None:
    """Until the devices of a model have computed what they were given."""
    for device in {shape.device, *shape.devices}:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
