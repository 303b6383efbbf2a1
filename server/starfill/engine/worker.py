"""The one thread that computes, for all models of the process, and the one budget for their KV states.

Two models with a thread each would have two OpenMP pools for the same cores, which slows decode to a third.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch

from starfill.engine.generate import Model, Pace, Progress, run
from starfill.engine.job import Finish, Job, Priority, Result, Ticket
from starfill.engine.slots import Slots


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A model that a worker computes for. Its jobs and KV states are its own, whatever keys another one's have."""

    model: Model
    context_length: int
    pace: Pace = field(default_factory=Pace)


Key = tuple[Served, Hashable]  # of a slot: the model, and the key of its job


class Task:
    """A submitted job and how far it has come. Flags are set under the worker's lock."""

    def __init__(self, served: Served, job: Job, order: int) -> None:
        self.served = served
        self.job = job
        self.order = order
        self.future: Future[Result] = Future()
        self.future.set_running_or_notify_cancel()  # only `Ticket.cancel` stops it: each future gets its result
        self.progress = Progress(job, time.perf_counter())
        self.steps: Iterator[None] | None = None
        self.ending: Finish | None = None  # why it is to stop before its end

    @property
    def key(self) -> Key:
        return self.served, self.job.key

    @property
    def rank(self) -> tuple[Priority, int]:
        return self.job.priority, self.order


class Worker:
    """Runs jobs by priority, then in order of arrival; a better one interrupts at the next chunk or token.

    At most one job per model and key is alive: a newer one supersedes it. `dismiss` and `close` wait for the thread, so
    they must not be called on it (in `Job.on_token`).
    """

    def __init__(self) -> None:
        self._slots: Slots[Key] = Slots()
        self._condition = threading.Condition()
        self._served: set[Served] = set()
        self._tasks: dict[Key, Task] = {}
        self._ended: list[Task] = []  # superseded or cancelled before their end; the thread answers them
        self._released: set[Key] = set()
        self._dismissed: set[Served] = set()  # until the thread has dropped their states
        self._order = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def serve(self, served: Served) -> None:
        """Jobs for `served` may be submitted from now on."""
        with self._condition:
            if not self._closing:
                self._served.add(served)

    def submit(self, served: Served, job: Job) -> Ticket:
        """A job for a model that isn't served any more is cancelled at once."""
        task = Task(served, job, next(self._order))
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

    def release(self, served: Served, key: Hashable) -> None:
        """Forget a slot, and cancel its job."""
        with self._condition:
            task = self._tasks.pop((served, key), None)
            if task is not None:
                self._end(task, Finish.CANCELLED)
            self._released.add((served, key))
            self._condition.notify_all()

    def resize(self, cache_bytes: int) -> None:
        """The byte budget for the KV states of all models; it holds when the next job ends."""
        self._slots.budget = cache_bytes

    def dismiss(self, served: Served) -> None:
        """End the model's jobs as cancelled and drop its KV states; waits for the chunk or token being computed."""
        with self._condition:
            self._dismiss(served)
            self._condition.wait_for(lambda: served not in self._dismissed)

    def close(self) -> None:
        """Dismiss all models and end the thread."""
        with self._condition:
            self._closing = True
            for served in list(self._served):
                self._dismiss(served)
            self._condition.notify_all()
        # A thread that is inside torch when the interpreter ends aborts the process.
        self._thread.join()

    def _dismiss(self, served: Served) -> None:
        if served not in self._served:
            return
        self._served.discard(served)
        self._dismissed.add(served)
        for key in [key for key in self._tasks if key[0] is served]:
            self._end(self._tasks.pop(key), Finish.CANCELLED)
        self._condition.notify_all()

    def _cancel(self, task: Task) -> None:
        with self._condition:
            if self._tasks.get(task.key) is task:
                del self._tasks[task.key]
                self._end(task, Finish.CANCELLED)
                self._condition.notify_all()

    def _end(self, task: Task, finish: Finish) -> None:
        task.ending = finish
        self._ended.append(task)

    def _work(self) -> None:
        with torch.inference_mode():
            while self._turn():
                pass

    def _turn(self) -> bool:
        """Answer what has ended, then compute one chunk or token; False when the worker is to end.

        Its variables end with it: while the thread waits for work, it must not hold on to a dismissed model.
        """
        with self._condition:
            self._condition.wait_for(self._has_work)
            ended, self._ended = self._ended, []
            released, self._released = self._released, set()
            dismissed = set(self._dismissed)
            task = min(self._tasks.values(), key=lambda task: task.rank, default=None)
            closing = self._closing
        self._slots.drop_all(lambda key: key in released or key[0] in dismissed)
        for other in ended:
            assert other.ending is not None
            other.future.set_result(other.progress.result(other.ending))
        if dismissed:
            with self._condition:
                self._dismissed -= dismissed
                self._condition.notify_all()
        if task is not None:
            self._step(task)
        return task is not None or not closing

    def _has_work(self) -> bool:
        return bool(self._tasks or self._ended or self._released or self._dismissed or self._closing)

    def _step(self, task: Task) -> None:
        """One chunk or token of a job."""
        try:
            if task.steps is None:
                slot = self._slots.take(task.key, task.job.ids, task.served.model.kv_shape)
                task.steps = run(task.served.model, slot, task.progress, task.served.context_length, task.served.pace)
            next(task.steps)
        except StopIteration:
            self._finish(task, None)
        except Exception as error:
            self._slots.drop(task.key)
            self._finish(task, error)

    def _finish(self, task: Task, error: Exception | None) -> None:
        with self._condition:
            if task.ending is not None:  # ended while its last step ran: the loop answers it
                return
            del self._tasks[task.key]
            alive = set(self._tasks)
        self._slots.shrink(keep=alive | {task.key})
        if error is None:
            task.future.set_result(task.progress.result(Finish.LENGTH))
        else:
            task.future.set_exception(error)
