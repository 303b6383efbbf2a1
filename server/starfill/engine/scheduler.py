"""The one thread that computes, for all models of the process, and the one budget for their KV states.

Two models with a thread each would have two OpenMP pools for the same cores, which slows decode to a third.
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
from starfill.engine.out_of_memory import OutOfMemoryHandler, Told
from starfill.engine.scheduled_job import ScheduledJob, ServedModel
from starfill.jobs import Finish, Job, Priority, Ticket

SAVING = 2.0  # seconds that closing a model waits for its states to be written

T = TypeVar("T")


class Scheduler:
    """Runs jobs by priority, then in order of arrival; a better one interrupts at the next chunk or token.

    At most one job per model and key is alive: a newer one supersedes it. `dismiss` and `close` wait for the thread, so
    they must not be called on it (in `Job.on_token`).

    host_budget: see `PrefixCache`. clock: seconds, by which states are saved.
    """

    def __init__(self, host_budget: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = PrefixCache(host_budget=host_budget)
        self._saver = DiskWriter(self._slots, clock)
        self._out_of_memory = OutOfMemoryHandler(self._slots)
        self._condition = threading.Condition()
        self._served: set[ServedModel] = set()
        self._asked: int | None = 0
        self._tasks: dict[Key, ScheduledJob] = {}
        self._ended: list[ScheduledJob] = []  # superseded or cancelled before their end; the thread answers them
        self._released: set[Key] = set()
        self._persisted: dict[ServedModel, DiskStore] = {}  # until the thread has looked at them
        self._dismissed: set[ServedModel] = set()  # until the thread has dropped their states
        self._visits: list[Callable[[], None]] = []  # what others want to do with the slots
        self._order = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def serve(self, served: ServedModel) -> None:
        """Jobs for `served` may be submitted from now on."""
        with self._condition:
            if not self._closing:
                self._served.add(served)
                self._slots.budget = self._budget()

    def submit(self, served: ServedModel, job: Job) -> Ticket:
        """A job for a model that isn't served any more is cancelled at once."""
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
        """Forget a slot, and cancel its job."""
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
        """Another budget, None for what suits the models and the machine; it holds when the next job ends."""
        with self._condition:
            if cache_bytes != self._asked:  # else it stays, also where a GPU's memory ran out and it was lowered
                self._asked = cache_bytes
                self._slots.budget = self._budget()

    def persist(self, served: ServedModel, saved: DiskStore) -> None:
        """Where the model's states are kept from now on, and what of them."""
        with self._condition:
            if served in self._served:
                self._persisted[served] = saved
                self._condition.notify_all()

    def watch(self, served: ServedModel, told: Told) -> None:
        """told: called once, on the engine's thread, with a sentence when a GPU's memory has run out."""
        self._out_of_memory.watch(served, told)

    def with_cache(self, visit: Callable[[PrefixCache], T]) -> T:
        """Call `visit` with the KV states, on the engine's thread between two steps, and return what it returns.

        Only there they are whole and stay as they are. It waits for the step being computed, and for what follows a
        job's answer. On the engine's own thread, and once the scheduler is closed, it calls at once.
        """
        if threading.current_thread() is not self._thread:
            done: Future[T] = Future()
            with self._condition:
                waits = not self._closing
                if waits:
                    self._visits.append(lambda: _settle(done, lambda: visit(self._slots)))
                    self._condition.notify_all()
            if waits:
                return done.result()
            self._thread.join()
        return visit(self._slots)

    def dismiss(self, served: ServedModel) -> None:
        """End the model's jobs as cancelled and drop its KV states, saved where they are to be kept.

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
        # A thread that is inside torch when the interpreter ends aborts the process.
        self._thread.join()
        self._saver.finish(SAVING)

    def _budget(self) -> int:
        return automatic([each.model.kv_shape for each in self._served]) if self._asked is None else self._asked

    def _dismiss(self, served: ServedModel) -> None:
        if served not in self._served:
            return
        self._served.discard(served)
        self._slots.budget = self._budget()
        self._out_of_memory.leave(served)
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

    def _work(self) -> None:
        with torch.inference_mode():
            while self._turn():
                pass

    def _turn(self) -> bool:
        """Answer what has ended, then compute one chunk or token; False when the scheduler is to end.

        Its variables end with it: while the thread waits for work, it must not hold on to a dismissed model.
        """
        with self._condition:
            if not self._condition.wait_for(self._has_work, self._saver.patience()):
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
            self._saver.leave(served)
        self._slots.drop_all(lambda key: key[0] in dismissed)
        self._shrink(ended)
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
        """One chunk or token of a job, or one try for it."""
        try:
            pause = self._advance(task)
            if pause is Pause.OUT_OF_MEMORY and not self._out_of_memory.relieve(
                task.job, task.slot, task.served.chunk_size
            ):
                self._finish(task, self._out_of_memory.failure_of(task.job))
        except StopIteration:
            self._finish(task, None)
        except torch.OutOfMemoryError:  # where a step can't be tried again
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
            if task.ending is not None:  # ended while its last step ran: the loop answers it
                return
            del self._tasks[task.key]
        slow = task.served.model.kv_shape.on_device  # where states are moved; dropping them takes no time
        if not slow:
            self._shrink([task])
        if error is None:
            task.future.set_result(task.progress.result(Finish.LENGTH))
        else:
            task.future.set_exception(error)
        if slow:
            self._shrink([task])

    def _shrink(self, ended: Sequence[ScheduledJob]) -> None:
        """Hold the budget once jobs have ended; their slots stay for now, since others may follow for the same text."""
        if ended:
            with self._condition:
                busy = self._busy()
            self._slots.evict(keep=busy | {task.slot for task in ended if task.slot is not None})
            self._saver.touched()
            for task in ended:
                task.slot = task.steps = None  # whoever still holds the ticket must not hold the state

    def _busy(self) -> set[Slot]:
        """The slots of jobs that are under way."""
        return {task.slot for task in self._tasks.values() if task.slot is not None}


def _settle(done: Future[T], work: Callable[[], T]) -> None:
    """Keep what `work` returns or raises for whoever waits for it."""
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)
