"""How much a model computes in one pass, and by which clock its passes are measured."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from starfill.engine.kv.kv_cache import KVShape
from starfill.engine.prompt_lookup import Learned

CHUNK = 128  # tokens prefilled between two chances to give way, at most
LEAST = 16  # and at least: fewer take a large model hardly less time
PAUSE = 0.05  # seconds that it should take

DEVICE_CHUNK = 4096  # on a device, which only many rows keep busy
DEVICE_LEAST = 512  # and there, where whatever the rows all weights are dequantized: that should be the lesser part
DEVICE_PAUSE = 0.15

Clock = Callable[[], float]  # seconds


def largest_chunk(device: torch.device) -> int:
    """Tokens prefilled at once, at most: what working memory has to be there for."""
    return CHUNK if device.type == "cpu" else DEVICE_CHUNK


class ChunkSize:
    """What the passes of a model have taught.

    tokens: of a prompt in one pass; few for a slow model, so that it gives way in time, and where memory for more
    ran out. learned: what is worth proposing. clock: one of two. A thread's own time doesn't count the waiting for a
    busy machine's other work; but where a device computes, all of it is waiting (see `wait`).
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
        if tokens >= self._least:  # of fewer, what a pass costs besides would count for too much
            chunk = min(max(int(self._pause * tokens / max(seconds, 1e-6)), self._least), self._most)
            self.tokens = chunk if chunk < CHUNK else chunk // CHUNK * CHUNK  # a device computes in tiles of as many

    def lower(self, tokens: int) -> bool:
        """Compute less at once from now on, `tokens` of a prompt being left; False where that would be too little."""
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
