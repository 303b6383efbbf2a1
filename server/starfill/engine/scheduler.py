"""The thread that computes, for all models of the process, and the budget for their KV states.

If two models had a thread each, two OpenMP pools would share the same cores, and decode would be three times slower.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

import torch

from starfill.engine.generate import Pause, run
from starfill.engine.kv.budget import automatic
from starfill.engine.kv.disk_store import DiskStore
from starfill.engine.kv.disk_writer import DiskWriter
from starfill.engine.kv.prefix_cache import Key, PrefixCache, Slot
from starfill.engine.out_of_memory import OutOfMemoryHandler
from starfill.engine.scheduled_job import ScheduledJob, ServedModel
from starfill.jobs import Finish, Job, OnTrouble, Priority, Ticket

SAVING = 2.0  # seconds that closing a model waits for its states to be written

T = TypeVar("T")


class Scheduler:
    """Runs jobs by priority, then in the order of arrival. A job of higher priority interrupts at the next chunk or
    token.

    At most one job per model and key is alive: a newer one supersedes it. `dismiss` and `close` wait for the thread, so
    they must not be called on it (in `Job.on_token`).

    host_budget: see `PrefixCache`. clock: seconds, for saving states.
    """

    def __init__(self, host_budget: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = PrefixCache(host_budget=host_budget)
        self._saver = DiskWriter(self._slots, clock)
        self._out_of_memory = OutOfMemoryHandler(self._slots)
        self._condition = threading.Condition()
        self._served: set[ServedModel] = set()
        self._asked: int | None = 0
        self._tasks: dict[Key, ScheduledJob] = {}
        self._ended: list[ScheduledJob] = []  # superseded or cancelled early; the thread resolves their futures
        self._released: set[Key] = set()
        self._persisted: dict[ServedModel, DiskStore] = {}  # until the thread has looked at them
        self._dismissed: set[ServedModel] = set()  # until the thread has dropped their states
        self._visits: list[Callable[[], None]] = []  # calls that need the slots
        self._order = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def serve(self, served: ServedModel) -> None:
        """Accept jobs for `served` from now on."""
        with self._condition:
            if not self._closing:
                self._served.add(served)
                self._slots.budget = self._budget()

    def submit(self, served: ServedModel, job: Job) -> Ticket:
        """Queue a job. If its model isn't served any more, it is cancelled at once."""
        task = ScheduledJob(served, job, next(self._order))
        with self._condition:
            older = self._tasks.pop(task.key, None)
            if older is not None:
                self._end(older, Finish.SUPERSEDED)
            if served in self._served:
                self._tasks[task.key] = task
            else:
                task.future.set_result(task.progress.result(Finish.CANCELLED))
            self._condition.notify_all()
        return Ticket(task.future, lambda: self._cancel(task))

    def release(self, served: ServedModel, key: Hashable) -> None:
        """Drop the slots of a key, and cancel its job."""
        with self._condition:
            task = self._tasks.pop((served, key), None)
            if task is not None:
                self._end(task, Finish.CANCELLED)
            self._released.add((served, key))
            self._condition.notify_all()

    @property
    def cache_bytes(self) -> int:
        """The byte budget for the KV states of all models."""
        return self._slots.budget

    def resize(self, cache_bytes: int | None) -> None:
        """Set the budget; None for one that suits the models and the machine. It holds when the next job ends."""
        with self._condition:
            # the same setting again keeps a budget that was lowered when a GPU's memory ran out
            if cache_bytes != self._asked:
                self._asked = cache_bytes
                self._slots.budget = self._budget()

    def persist(self, served: ServedModel, saved: DiskStore) -> None:
        """Where the model's states are saved from now on."""
        with self._condition:
            if served in self._served:
                self._persisted[served] = saved
                self._condition.notify_all()

    def watch(self, served: ServedModel, on_trouble: OnTrouble) -> None:
        """on_trouble: called once, on the engine's thread, with a sentence when a GPU's memory has run out."""
        self._out_of_memory.watch(served, on_trouble)

    def with_cache(self, visit: Callable[[PrefixCache], T]) -> T:
        """Call `visit` with the prefix cache, on the engine's thread between two steps, and return its result.

        Only there the slots are consistent. Waits for the step being computed, and for what follows a job's answer. On
        the engine's own thread, and once the scheduler is closed, `visit` is called at once.
        """
        if threading.current_thread() is not self._thread:
            done: Future[T] = Future()
            with self._condition:
                waits = not self._closing
                if waits:
                    self._visits.append(lambda: _resolve(done, lambda: visit(self._slots)))
                    self._condition.notify_all()
            if waits:
                return done.result()
            self._thread.join()
        return visit(self._slots)

    def dismiss(self, served: ServedModel) -> None:
        """End the model's jobs as cancelled and drop its KV states, after saving those that may be saved.

        Waits for the chunk or token being computed, and for the saving.
        """
        with self._condition:
            self._dismiss(served)
            self._condition.wait_for(lambda: served not in self._dismissed)
        self._saver.finish(SAVING)

    def close(self) -> None:
        """Dismiss all models and end the thread."""
        with self._condition:
            self._closing = True
            for served in list(self._served):
                self._dismiss(served)
            self._condition.notify_all()
        # If a thread is inside torch when the interpreter ends, the process aborts.
        self._thread.join()
        self._saver.finish(SAVING)

    def _budget(self) -> int:
        return automatic([each.model.kv_shape for each in self._served]) if self._asked is None else self._asked

    def _dismiss(self, served: ServedModel) -> None:
        if served not in self._served:
            return
        self._served.discard(served)
        self._slots.budget = self._budget()
        self._out_of_memory.unwatch(served)
        self._dismissed.add(served)
        for key in [key for key in self._tasks if key[0] is served]:
            self._end(self._tasks.pop(key), Finish.CANCELLED)
        self._condition.notify_all()

    def _cancel(self, task: ScheduledJob) -> None:
        with self._condition:
            if self._tasks.get(task.key) is task:
                del self._tasks[task.key]
                self._end(task, Finish.CANCELLED)
                self._condition.notify_all()

    def _end(self, task: ScheduledJob, finish: Finish) -> None:
        task.ending = finish
        self._ended.append(task)

    def _run(self) -> None:
        with torch.inference_mode():
            while self._run_once():
                pass

    def _run_once(self) -> bool:
        """Resolve what has ended, then compute one chunk or token. False if the scheduler is to end.

        Its variables end with it: while the thread waits for work, nothing may refer to a dismissed model.
        """
        with self._condition:
            if not self._condition.wait_for(self._has_work, self._saver.seconds_until_due()):
                self._saver.save_one()
                return True
            ended, self._ended = self._ended, []
            released, self._released = self._released, set()
            persisted, self._persisted = self._persisted, {}
            visits, self._visits = self._visits, []
            dismissed = set(self._dismissed)
            task = min(self._tasks.values(), key=lambda task: task.rank, default=None)
            closing = self._closing
        for served, saved in persisted.items():
            self._saver.use(served, saved)
        self._slots.drop_all(lambda key: key in released)
        for served in dismissed:
            self._saver.save_all(served)
        self._slots.drop_all(lambda key: key[0] in dismissed)
        self._evict(ended)
        for other in ended:
            assert other.ending is not None
            other.future.set_result(other.progress.result(other.ending))
        if dismissed:
            with self._condition:
                self._dismissed -= dismissed
                self._condition.notify_all()
        for visit in visits:
            visit()
        if task is not None:
            self._step(task)
        return task is not None or not closing

    def _has_work(self) -> bool:
        waiting = self._tasks or self._ended or self._released or self._persisted or self._dismissed or self._visits
        return bool(waiting or self._closing)

    def _step(self, task: ScheduledJob) -> None:
        """Compute one chunk or token of a job, or try to."""
        try:
            pause = self._advance(task)
            if pause is Pause.OUT_OF_MEMORY and not self._out_of_memory.relieve(
                task.job, task.slot, task.served.chunk_size
            ):
                self._finish(task, self._out_of_memory.failure_of(task.job))
        except StopIteration:
            self._finish(task, None)
        except torch.OutOfMemoryError:  # in a step that can't be repeated
            self._finish(task, self._out_of_memory.failure_of(task.job))
        except Exception as error:
            if task.slot is not None:
                self._slots.drop(task.slot)
            self._finish(task, error)

    def _advance(self, task: ScheduledJob) -> Pause:
        """Raises StopIteration at a job's end."""
        if task.steps is None:
            with suppress(torch.OutOfMemoryError):
                task.slot = self._take(task)
            if task.slot is None:
                return Pause.OUT_OF_MEMORY
            task.steps = run(
                task.served.model, task.slot, task.progress, task.served.context_length, task.served.chunk_size
            )
        return next(task.steps)

    def _take(self, task: ScheduledJob) -> Slot:
        ids, shape = task.job.ids, task.served.model.kv_shape
        with self._condition:
            busy = self._busy()
        self._saver.restore(*task.key, ids, shape)
        return self._slots.take(task.key, ids, shape, busy, foreseen=task.job.priority is Priority.IDLE)

    def _finish(self, task: ScheduledJob, error: Exception | None) -> None:
        with self._condition:
            if task.ending is not None:  # it was ended while its last step ran: the loop resolves it
                return
            del self._tasks[task.key]
        slow = task.served.model.kv_shape.on_device  # moving states takes time, dropping them doesn't
        if not slow:
            self._evict([task])
        if error is None:
            task.future.set_result(task.progress.result(Finish.LENGTH))
        else:
            task.future.set_exception(error)
        if slow:
            self._evict([task])

    def _evict(self, ended: Sequence[ScheduledJob]) -> None:
        """Evict states after jobs have ended. The slots of these jobs stay for now: others may follow for the same
        text.
        """
        if ended:
            with self._condition:
                busy = self._busy()
            self._slots.evict(keep=busy | {task.slot for task in ended if task.slot is not None})
            self._saver.touched()
            for task in ended:
                task.slot = task.steps = None  # a ticket that somebody still holds must not keep the state alive

    def _busy(self) -> set[Slot]:
        """The slots of jobs that are running."""
        return {task.slot for task in self._tasks.values() if task.slot is not None}


def _resolve(done: Future[T], work: Callable[[], T]) -> None:
    """Store what `work` returns or raises."""
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)
