"""The engine on this machine: one model, computed on the scheduler's thread."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path

from starfill.engine.chunking import ChunkSize
from starfill.engine.kv.disk_store import DiskStore
from starfill.engine.model import LanguageModel
from starfill.engine.scheduled_job import ServedModel
from starfill.engine.scheduler import Scheduler
from starfill.jobs import Job, ModelInfo, OnTrouble, Ticket


class LocalEngine:
    """cache_bytes: the scheduler's budget from now on, which all its models share; None for an automatic one.

    scheduler: computes for this model among others; None makes one of its own, which is closed with the engine.
    chunk_size: learned from the model's passes; None for a new one.
    states: the folder for `persist`, and this model's name in it (`disk_store.model_key`); None if nothing is ever
        saved.
    """

    def __init__(
        self,
        model: LanguageModel,
        info: ModelInfo,
        cache_bytes: int | None,
        scheduler: Scheduler | None = None,
        states: tuple[Path, str] | None = None,
        chunk_size: ChunkSize | None = None,
    ) -> None:
        self.info = info
        self._states = states
        self.served = ServedModel(
            model, info.context_length, chunk_size or ChunkSize(on_device=model.kv_shape.on_device)
        )
        self.scheduler = scheduler or Scheduler()
        self._owns_scheduler = scheduler is None
        self.scheduler.resize(cache_bytes)
        self.scheduler.serve(self.served)

    def submit(self, job: Job) -> Ticket:
        if not 0 < len(job.ids) < self.info.context_length or job.candidates < 1:
            raise ValueError(
                f"a job needs 1 to {self.info.context_length - 1} prompt tokens and at least one candidate"
            )
        return self.scheduler.submit(self.served, job)

    def release(self, key: Hashable) -> None:
        self.scheduler.release(self.served, key)

    @property
    def cache_bytes(self) -> int:
        """See `job.Engine`."""
        return self.scheduler.cache_bytes

    def resize(self, cache_bytes: int | None) -> None:
        """See `job.Engine`. The new budget holds when the next job ends."""
        self.scheduler.resize(cache_bytes)

    def persist(self, nbytes: int, keeps: Callable[[str], bool]) -> None:
        """See `job.Engine`."""
        if self._states is not None:
            self.scheduler.persist(self.served, DiskStore(*self._states, nbytes, keeps))

    def watch(self, on_trouble: OnTrouble) -> None:
        """See `job.Engine`. Called with a sentence if a GPU's memory runs out, and with nothing else."""
        self.scheduler.watch(self.served, on_trouble)

    def close(self) -> None:
        """Ends this model's jobs and drops its KV states. The scheduler's other models go on."""
        if self._owns_scheduler:
            self.scheduler.close()
        else:
            self.scheduler.dismiss(self.served)
