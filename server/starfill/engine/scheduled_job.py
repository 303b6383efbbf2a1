"""A job that the scheduler has accepted, and the model that it is for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from starfill.engine.chunking import ChunkSize
from starfill.engine.decoding import JobProgress
from starfill.engine.generate import Pause
from starfill.engine.kv.prefix_cache import Key, Slot
from starfill.engine.model import LanguageModel
from starfill.jobs import Finish, Job, Priority, Result


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """A model that the scheduler computes for. Its jobs and KV states are its own, even if another model uses the same
    keys.
    """

    model: LanguageModel
    context_length: int
    chunk_size: ChunkSize


class ScheduledJob:
    """A submitted job and its state. Flags are set under the scheduler's lock."""

    def __init__(self, served: ServedModel, job: Job, order: int) -> None:
        self.served = served
        self.job = job
        self.order = order
        self.future: Future[Result] = Future()
        self.future.set_running_or_notify_cancel()  # only `Ticket.cancel` stops a job: each future gets its result
        self.progress = JobProgress(job, time.perf_counter())
        self.slot: Slot | None = None  # set by the first step
        self.steps: Iterator[Pause] | None = None
        self.ending: Finish | None = None  # why it has to stop early

    @property
    def key(self) -> Key:
        return self.served, self.job.key

    @property
    def rank(self) -> tuple[Priority, int]:
        return self.job.priority, self.order
