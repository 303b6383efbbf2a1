"""The Engine protocol over the network: a job is one streamed request for each candidate."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any

from starfill.errors import EngineError
from starfill.jobs import Finish, Job, ModelInfo, OnTrouble, Priority, Ticket
from starfill.remote.apis.api import Api
from starfill.remote.candidate_streams import CandidateStreams
from starfill.remote.debounce import Debounce
from starfill.remote.encoding import PromptEncoder
from starfill.remote.health import Health
from starfill.remote.http import TYPING, Connection
from starfill.remote.network_thread import Network
from starfill.remote.request import RemoteJob
from starfill.remote.slots import SlotAssignment

WHOLE = 2 * TYPING  # seconds for a whole completion


class RemoteEngine:
    """info: of the model there. model: the name by which the engine knows it. slots: see `SlotAssignment`.

    Jobs for idle time are not sent: a shared engine has others to work for, and text leaves the machine only when
    something is asked. A job's future raises EngineError if the engine failed. After a failure that is likely to last,
    completions fail at once until the engine answers again; it is probed now and then.
    """

    def __init__(
        self,
        network: Network,
        connection: Connection,
        api: Api,
        model: str,
        encoder: PromptEncoder,
        info: ModelInfo,
        slots: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.info, self.clock = info, clock
        self._network, self._connection, self._api = network, connection, api
        self._jobs: dict[Hashable, RemoteJob] = {}  # the newest job of each document
        self._works: set[asyncio.Task[None]] = set()  # also of jobs that are being cancelled
        self._open = threading.Lock()
        self._closed = False
        self._slots = SlotAssignment(slots)
        self.health = Health(self._report_trouble)
        self.debounce = Debounce()
        self._candidates = CandidateStreams(
            connection, api, model, encoder, self._slots, on_first_token=self.debounce.began, clock=lambda: self.clock()
        )
        self._probing: asyncio.Task[None] | None = None
        self._on_trouble: OnTrouble | None = None

    def submit(self, job: Job) -> Ticket:
        if not 0 < len(job.ids) < self.info.context_length or job.candidates < 1:
            raise ValueError(
                f"a job needs 1 to {self.info.context_length - 1} prompt tokens and at least one candidate"
            )
        task = RemoteJob(job, self.clock)
        with self._open:
            begun = job.priority is not Priority.IDLE and not self._closed and self._network.call(self._begin, task)
        if not begun:
            task.future.set_result(task.result(Finish.CANCELLED))
            return Ticket(task.future, lambda: None)
        return Ticket(task.future, lambda: self._cancel(task))

    def _cancel(self, job: RemoteJob) -> None:
        self._network.call(self._end, job, Finish.CANCELLED)

    def release(self, key: Hashable) -> None:
        self._network.call(self._release, key)

    @property
    def cache_bytes(self) -> int:
        return 0

    def resize(self, cache_bytes: int | None) -> None:
        """Does nothing: the engine there keeps the states, in budgets of its own."""

    def persist(self, nbytes: int, keeps: Callable[[str], bool]) -> None:
        """Does nothing: no state is on this machine."""

    def watch(self, on_trouble: OnTrouble) -> None:
        """See `jobs.Engine`."""
        self._on_trouble = on_trouble

    def close(self) -> None:
        """Ends all jobs and closes the connections."""
        with self._open:  # What was submitted starts before everything is ended, so that its future gets a result
            if self._closed:
                return
            self._closed = True
        self._network.run(self._close()).result()
        self._network.close()

    def _report_trouble(self, trouble: str | None) -> None:
        if self._on_trouble is not None:
            self._on_trouble(trouble)

    # The methods below run on the network's thread.

    def _begin(self, job: RemoteJob) -> None:
        if (older := self._jobs.get(job.job.key)) is not None:
            self._end(older, Finish.SUPERSEDED)
        self._jobs[job.job.key] = job
        job.work = asyncio.create_task(self._run(job))
        self._works.add(job.work)
        job.work.add_done_callback(lambda work: self._ended(job, work))

    def _end(self, job: RemoteJob, why: Finish) -> None:
        if job.ending is None and job.work is not None:
            job.ending = why
            job.work.cancel()

    def _release(self, key: Hashable) -> None:
        if (job := self._jobs.get(key)) is not None:
            self._end(job, Finish.CANCELLED)
        self._slots.forget(key)

    def _ended(self, job: RemoteJob, work: asyncio.Task[None]) -> None:
        self._works.discard(work)
        if self._jobs.get(job.job.key) is job:
            del self._jobs[job.job.key]
        error = None if work.cancelled() else work.exception()
        if work.cancelled() and job.sent and job.first is None and job.job.priority is Priority.COMPLETION:
            self.debounce.gave_up(self.clock() - job.sent)
        if isinstance(error, EngineError) and error.again:
            self._failed(error)
        if work.cancelled():
            job.future.set_result(job.result(job.ending or Finish.CANCELLED))
        elif error is not None:
            job.future.set_exception(error)
        else:
            self.health.worked()
            job.future.set_result(job.result())

    async def _run(self, job: RemoteJob) -> None:
        """Raises EngineError, or what a job's own functions raise."""
        typing = job.job.priority is Priority.COMPLETION
        if typing and self.health.rest:  # an action is tried in any case
            raise EngineError(f"{self.health.trouble}; it is asked again in {math.ceil(self.health.rest)} s")
        if typing:
            await asyncio.sleep(self.debounce.delay)  # after the next key, nothing is sent for this one
        job.sent = self.clock()
        work = [self._candidates.ask(job, number) for number in range(job.job.candidates)]
        try:
            await asyncio.wait_for(_together(work), WHOLE if typing else None)
        except asyncio.TimeoutError:
            raise EngineError(f"{self._connection.address.base} takes too long to answer", again=True) from None

    def _failed(self, error: EngineError) -> None:
        self.health.failed(error)
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Probe the engine until it answers, so that its recovery is noticed before somebody types; stops if only a job
        can tell.
        """
        while self.health.trouble is not None:
            await asyncio.sleep(self.health.rest)
            try:
                await self._connection.get(self._api.probe)
            except EngineError as error:
                self.health.failed(error, probe=True)
            else:
                if not self.health.answers():
                    return

    async def _close(self) -> None:
        for job in self._jobs.values():
            self._end(job, Finish.CANCELLED)
        works = list(self._works)
        if self._probing is not None:
            self._probing.cancel()
            works.append(self._probing)
        await asyncio.gather(*works, return_exceptions=True)
        await self._connection.close()


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all of them at once. The first that fails ends the others."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
