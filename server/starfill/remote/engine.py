"""The Engine protocol over the network: a job is one streamed request for each candidate."""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from starfill.errors import EngineError
from starfill.jobs import Finish, Job, ModelInfo, Priority, Ticket
from starfill.remote.apis.api import Api, Ask
from starfill.remote.debounce import Debounce
from starfill.remote.encoding import EncodedPrompt, PromptEncoder
from starfill.remote.health import Health
from starfill.remote.http import ASKING, TYPING, Connection, garbled
from starfill.remote.network_thread import Network
from starfill.remote.request import RemoteJob
from starfill.remote.slots import SlotAssignment
from starfill.remote.stream import AnswerStream

WHOLE = 2 * TYPING  # seconds that a completion may take in all
LINGER = 0.2  # seconds that a stream may stay open after the end of its answer


class RemoteEngine:
    """info: of the model there. model: the name that its engine knows it by. slots: see `SlotAssignment`.

    Idle jobs are not sent: what a shared engine computes ahead for one it doesn't compute for another, and text goes
    out only when something is asked. A job's future raises EngineError where the engine has failed; after a failure
    that will last, completions fail at once until the engine answers again, which is asked now and then.
    """

    def __init__(
        self,
        network: Network,
        connection: Connection,
        kind: Api,
        model: str,
        encoder: PromptEncoder,
        info: ModelInfo,
        slots: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.info, self.clock = info, clock
        self._network, self._connection, self._kind = network, connection, kind
        self._model, self._encoder = model, encoder
        self._tasks: dict[Hashable, RemoteJob] = {}  # the newest of each document
        self._works: set[asyncio.Task[None]] = set()  # also of those that are being ended
        self._open = threading.Lock()
        self._closed = False
        self._places = SlotAssignment(slots)
        self.health = Health(self._tell)
        self.pace = Debounce()
        self._probing: asyncio.Task[None] | None = None
        self._told: Callable[[str | None], None] | None = None
        self._salt = secrets.token_bytes(16)

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

    def _cancel(self, task: RemoteJob) -> None:
        self._network.call(self._end, task, Finish.CANCELLED)

    def release(self, key: Hashable) -> None:
        self._network.call(self._release, key)

    @property
    def cache_bytes(self) -> int:
        return 0

    def resize(self, cache_bytes: int | None) -> None:
        """The engine there keeps the states, by budgets of its own."""

    def persist(self, nbytes: int, keeps: Callable[[str], bool]) -> None:
        """Nothing of it is on this machine."""

    def watch(self, told: Callable[[str | None], None]) -> None:
        """See `job.Engine`."""
        self._told = told

    def close(self) -> None:
        """Ends all jobs and the connections."""
        with self._open:  # what was submitted has begun before all is ended, so that it gets its result
            if self._closed:
                return
            self._closed = True
        self._network.run(self._close()).result()
        self._network.close()

    def _tell(self, trouble: str | None) -> None:
        if self._told is not None:
            self._told(trouble)

    # What follows runs on the network's thread.

    def _begin(self, task: RemoteJob) -> None:
        if (older := self._tasks.get(task.job.key)) is not None:
            self._end(older, Finish.SUPERSEDED)
        self._tasks[task.job.key] = task
        task.work = asyncio.create_task(self._run(task))
        self._works.add(task.work)
        task.work.add_done_callback(lambda work: self._ended(task, work))

    def _end(self, task: RemoteJob, why: Finish) -> None:
        if task.ending is None and task.work is not None:
            task.ending = why
            task.work.cancel()

    def _release(self, key: Hashable) -> None:
        if (task := self._tasks.get(key)) is not None:
            self._end(task, Finish.CANCELLED)
        self._places.forget(key)

    def _ended(self, task: RemoteJob, work: asyncio.Task[None]) -> None:
        self._works.discard(work)
        if self._tasks.get(task.job.key) is task:
            del self._tasks[task.job.key]
        error = None if work.cancelled() else work.exception()
        if work.cancelled() and task.sent and task.first is None and task.job.priority is Priority.COMPLETION:
            self.pace.gave_up(self.clock() - task.sent)
        if isinstance(error, EngineError) and error.again:
            self._failed(error)
        if work.cancelled():
            task.future.set_result(task.result(task.ending or Finish.CANCELLED))
        elif error is not None:
            task.future.set_exception(error)
        else:
            self.health.worked()
            task.future.set_result(task.result())

    async def _run(self, task: RemoteJob) -> None:
        """Raises EngineError, or what a job's own functions raise."""
        typing = task.job.priority is Priority.COMPLETION
        if typing and self.health.rest:  # who asks for an action gets an attempt in any case
            raise EngineError(f"{self.health.trouble}; it is asked again in {math.ceil(self.health.rest)} s")
        if typing:
            await asyncio.sleep(self.pace.delay)  # the next key may come, and then nothing is sent
        task.sent = self.clock()
        work = [self._answer(task, number) for number in range(task.job.candidates)]
        try:
            await asyncio.wait_for(_together(work), WHOLE if typing else None)
        except asyncio.TimeoutError:
            raise EngineError(f"{self._connection.address.base} takes too long to answer", again=True) from None

    async def _answer(self, task: RemoteJob, number: int) -> None:
        """One candidate, asked a second time where it doesn't begin as it must and the engine can't be made to.

        The model then goes on from the half word, which the local engine lets it choose anew.
        """
        job = task.job
        encoded = self._encoder.prompt(job.ids)
        begins = encoded.rest + self._encoder.bytes(job.begins)
        answer = AnswerStream(job, number, self._encoder, begins)
        task.answers.append(answer)
        await self._listen(task, answer, encoded, begins if self._kind.forces else b"")
        if answer.prefix_mismatch:
            answer.begin()
            await self._listen(task, answer, self._encoder.longer(encoded, begins), b"")

    async def _listen(self, task: RemoteJob, answer: AnswerStream, encoded: EncodedPrompt, begins: bytes) -> None:
        job = task.job
        patience = TYPING if job.priority is Priority.COMPLETION else ASKING
        sampling = job.sampling
        if sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + answer.candidate)
        ask = Ask(
            model=self._model,
            prompt=encoded.prompt,
            max_tokens=job.max_new_tokens,
            sampling=sampling,
            begins=begins.decode("utf-8", "replace"),
            stop_ids=job.stop_ids if self._encoder.takes_ids else frozenset(),
            slot=self._places.of(job.key) if answer.candidate == 0 else None,
        )
        asked = self._connection.stream(self._kind.path, self._kind.body(ask), patience, self._session(job.key))
        async with asked as events, aclosing(events):
            until = time.monotonic() + patience
            while True:
                try:
                    event = await _next(events, until - time.monotonic())
                except asyncio.TimeoutError:
                    if answer.ended:  # it is whole, though the stream isn't
                        return
                    raise
                if event is None:
                    break
                pieces = answer.pieces
                if self._take(task, answer, event):
                    return
                if answer.ended:
                    until = min(until, time.monotonic() + LINGER)
                elif answer.pieces > pieces:  # else it says something, but nothing of the answer
                    until = time.monotonic() + patience
        if answer.finish is None and not answer.prefix_mismatch:
            raise EngineError(f"{self._connection.address.base} has broken off its answer", again=True)

    def _take(self, task: RemoteJob, answer: AnswerStream, event: Mapping[str, Any]) -> bool:
        """An event of an answer; True when nothing more is wanted."""
        try:
            piece = self._kind.read(event)
        except (KeyError, TypeError, IndexError, ValueError, AttributeError):
            raise garbled(self._connection.address) from None
        if piece.text and task.first is None:
            task.first = self.clock()
            if task.job.priority is Priority.COMPLETION:
                self.pace.began(task.first - task.sent)
        if piece.prompt_tokens is not None and answer.candidate == 0:
            task.prompt_tokens, task.cached_tokens = piece.prompt_tokens, piece.cached_tokens or 0
        return answer.take(piece)

    def _failed(self, error: EngineError) -> None:
        self.health.failed(error)
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Until it answers again, so that it is known before somebody types; or only a job can tell."""
        while self.health.trouble is not None:
            await asyncio.sleep(self.health.rest)
            try:
                await self._connection.get(self._kind.probe)
            except EngineError as error:
                self.health.failed(error, probe=True)
            else:
                if not self.health.answers():
                    return

    async def _close(self) -> None:
        for task in self._tasks.values():
            self._end(task, Finish.CANCELLED)
        works = list(self._works)
        if self._probing is not None:
            self._probing.cancel()
            works.append(self._probing)
        await asyncio.gather(*works, return_exceptions=True)
        await self._connection.close()

    def _session(self, key: Hashable) -> str:
        """The same for each request of a document, and says nothing of it."""
        return hashlib.blake2b(repr(key).encode("utf-8", "replace"), key=self._salt, digest_size=16).hexdigest()


async def _next(events: AsyncGenerator[Mapping[str, Any], None], seconds: float) -> Mapping[str, Any] | None:
    """The next event, None after the last one. Before Python 3.12 `wait_for` forgets a cancel that comes with one."""
    coming = asyncio.ensure_future(anext(events, None))
    try:
        done, _ = await asyncio.wait([coming], timeout=max(0.0, seconds))
        if not done:
            raise asyncio.TimeoutError
        return coming.result()
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait([coming])
        _ = coming.cancelled() or coming.exception()  # seen


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All of them at once; the first that fails ends the others."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
