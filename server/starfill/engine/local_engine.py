"""The engine on this machine: one model on the thread that computes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path

from starfill.engine.chunking import Pace
from starfill.engine.generate import Model
from starfill.engine.kv.disk_store import SavedStates
from starfill.engine.scheduled_job import Served
from starfill.engine.scheduler import Worker
from starfill.jobs import Job, ModelInfo, Ticket


class LocalEngine:
    """cache_bytes: the worker's budget from now on, which all its models share; None for what suits them.

    worker: computes for this model among others; None makes one of its own, closed with the engine.
    pace: what is known of the model's passes; None begins anew.
    states: the folder for `persist`, and this model's name in it (`saved.model_key`); None where nothing is ever saved.
    """

    def __init__(
        self,
        model: Model,
        info: ModelInfo,
        cache_bytes: int | None,
        worker: Worker | None = None,
        states: tuple[Path, str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.info = info
        self._states = states
        self.served = Served(model, info.context_length, pace or Pace(on_device=model.kv_shape.on_device))
        self.worker = worker or Worker()
        self._owns_worker = worker is None
        self.worker.resize(cache_bytes)
        self.worker.serve(self.served)

    def submit(self, job: Job) -> Ticket:
        if not 0 < len(job.ids) < self.info.context_length or job.candidates < 1:
            raise ValueError(
                f"a job needs 1 to {self.info.context_length - 1} prompt tokens and at least one candidate"
            )
        return self.worker.submit(self.served, job)

    def release(self, key: Hashable) -> None:
        self.worker.release(self.served, key)

    @property
    def cache_bytes(self) -> int:
        """See `job.Engine`."""
        return self.worker.cache_bytes

    def resize(self, cache_bytes: int | None) -> None:
        """See `job.Engine`; it holds when the next job ends."""
        self.worker.resize(cache_bytes)

    def persist(self, nbytes: int, keeps: Callable[[str], bool]) -> None:
        """See `job.Engine`."""
        if self._states is not None:
            self.worker.persist(self.served, SavedStates(*self._states, nbytes, keeps))

    def watch(self, told: Callable[[str | None], None]) -> None:
        """See `job.Engine`: a model that is loaded computes, but a GPU's memory may run out."""
        self.worker.watch(self.served, told)

    def close(self) -> None:
        """Ends this model's jobs and drops its KV states; other models of the worker go on."""
        if self._owns_worker:
            self.worker.close()
        else:
            self.worker.dismiss(self.served)
