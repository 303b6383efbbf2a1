"""A device with memory for so many bytes: the toy's states and the rows of a pass take some of it."""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable

import torch

from engine.toy import (
    INFO,
    PLENTY,
    Toy,
    eager,
)
from starfill.engine.chunking import ChunkSize
from starfill.engine.kv.kv_cache import BLOCK, KVCache, KVShape, allocate
from starfill.engine.local_engine import LocalEngine
from starfill.engine.scheduler import Scheduler

ONE = Toy(on_device=True).kv_shape.bytes_per_token * BLOCK


ROW = 8  # bytes that a row takes while it is computed


class Device:
    """Memory of so many bytes for KV states and passes."""

    def __init__(self, nbytes: int = PLENTY) -> None:
        self.nbytes = nbytes
        self.failures = 0
        self._living: list[weakref.ref[torch.Tensor]] = []

    def allocate(self, shape: KVShape, capacity: int, device: torch.device) -> torch.Tensor:
        if not shape.on_device:
            return allocate(shape, capacity, device)
        self.need(capacity * shape.bytes_per_token // shape.layers)
        made = allocate(shape, capacity, device)
        self._living = [each for each in self._living if each() is not None] + [weakref.ref(made)]
        return made

    def need(self, nbytes: int) -> None:
        living = [tensor for each in self._living if (tensor := each()) is not None]
        if nbytes and sum(tensor.nbytes for tensor in living) + nbytes > self.nbytes:
            self.failures += 1
            raise torch.OutOfMemoryError


class Wanting(Toy):
    """A toy whose passes take memory too: before they do anything, in the middle, and at their end."""

    def __init__(self, device: Device, salt: int = 0, before: Callable[[], object] = lambda: None) -> None:
        super().__init__(salt, before=before, on_device=True)
        self._device = device
        self.moments = random.Random(salt)

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor:
        moment = self.moments.randrange(3)
        cache.reserve(len(ids))
        if moment == 0:
            self._device.need(ROW * len(ids))
        elif moment == 1:
            cache.write(0, *torch.full((2, 1, len(ids), 1), 7.0))
            self._device.need(ROW * len(ids))
        logits = super().__call__(ids, cache, last)
        self._device.need(ROW * len(ids))
        return logits


def served(model: Toy, scheduler: Scheduler | None = None) -> LocalEngine:
    return LocalEngine(
        model, INFO, PLENTY, scheduler or Scheduler(PLENTY), chunk_size=ChunkSize(on_device=True, learned=eager())
    )
