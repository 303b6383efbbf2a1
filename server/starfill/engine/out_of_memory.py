"""What happens when a GPU's memory runs out.

A pass that ran out of memory has computed nothing (see `generate.feed`), so it can be repeated. Before that, the states
of other documents are moved to the host's memory, and the user is told once. If it fails again, the chunks get smaller.
When neither helps, the job fails with one sentence; the engine goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import torch

from starfill.engine.chunking import ChunkSize
from starfill.engine.kv.prefix_cache import PrefixCache, Slot
from starfill.errors import EngineError
from starfill.jobs import Job, OnTrouble

logger = logging.getLogger(__name__)
# How the driver and NVIDIA's libraries, which allocate memory of their own, say it.
MESSAGES = ("out of memory", "ALLOC_FAILED")


@contextmanager
def naming_out_of_memory() -> Iterator[None]:
    """Any error inside that means "out of memory" is raised as torch.OutOfMemoryError, as torch's own allocator does.

    The error may be hidden in the context of another one: a graph capture that runs out of memory fails a second time
    when it ends.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        told: BaseException | None = error
        while told is not None:
            if isinstance(told, torch.OutOfMemoryError) or any(word in str(told) for word in MESSAGES):
                raise torch.OutOfMemoryError(str(told)) from error
            told = told.__context__
        raise


class OutOfMemoryHandler:
    """`relieve` and `failure_of` are called on the engine's thread, the rest on any."""

    def __init__(self, slots: PrefixCache) -> None:
        self._slots = slots
        self._lock = threading.Lock()
        self._watching: dict[Hashable, OnTrouble] = {}  # by model, until they have been told once

    def watch(self, model: Hashable, on_trouble: OnTrouble) -> None:
        """on_trouble: called once, on the engine's thread, with a sentence when memory has run out."""
        with self._lock:
            self._watching[model] = on_trouble

    def unwatch(self, model: Hashable) -> None:
        with self._lock:
            self._watching.pop(model, None)

    def relieve(self, job: Job, slot: Slot | None, chunk_size: ChunkSize) -> bool:
        """Free memory for a job's next step. slot: the job's, once it has one. False where nothing can be freed."""
        if self._slots.evict_from_device(keep=() if slot is None else {slot}):
            self._tell(
                "The GPU's memory ran out: states of other documents were moved to the computer's own, and at most"
                f" {self._slots.budget / 1e6:.0f} MB of them stay on the GPU from now on; if other programs use it,"
                " close them"
            )
            return True
        return slot is not None and chunk_size.lower(len(job.ids) - len(slot.ids))

    def failure_of(self, job: Job) -> EngineError:
        """The error with which a job fails. Its state is moved to the host's memory: what was computed is kept."""
        self._slots.evict_from_device(keep=())
        sentence = (
            f"The GPU has too little free memory for a prompt of {len(job.ids)} tokens, even with nothing else there:"
            " close other programs that use it, set contextTokens to less, or take a smaller checkpoint"
        )
        logger.warning(sentence)
        return EngineError(sentence)

    def _tell(self, sentence: str) -> None:
        logger.warning(sentence)
        with self._lock:
            watching, self._watching = self._watching, {}
        for on_trouble in watching.values():
            on_trouble(sentence)
