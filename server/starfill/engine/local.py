"""The engine on this machine: one worker thread that alone touches the model and the KV states."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Hashable, Iterator
from concurrent.futures import Future

import torch

from starfill.engine.generate import Model, Progress, run
from starfill.engine.job import Finish, Job, ModelInfo, Priority, Result, Ticket
from starfill.engine.kv_cache import KVCache
from starfill.engine.slots import Slots


class Task:
    """A submitted job and how far it has come. Flags are set under the engine's lock."""

    def __init__(self, job: Job, order: int) -> None:
        self.job = job
        self.order = order
        self.future: Future[Result] = Future()
        self.progress = Progress(job, time.perf_counter())
        self.steps: Iterator[None] | None = None
        self.ending: Finish | None = None  # why it is to stop before its end

    @property
    def rank(self) -> tuple[Priority, int]:
        return self.job.priority, self.order


class LocalEngine:
    """Runs jobs by priority, then in order of arrival; a better one interrupts at the next chunk or token.

    At most one job per key is alive: a newer one supersedes it.
    """

    def __init__(self, model: Model, info: ModelInfo, cache_bytes: int) -> None:
        self.info = info
        self._model = model
        self._slots = Slots(cache_bytes, lambda: KVCache(model.kv_shape))
        self._condition = threading.Condition()
        self._tasks: dict[Hashable, Task] = {}
        self._ended: list[Task] = []  # superseded before their end; the worker answers them
        self._released: set[Hashable] = set()
        self._order = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Ticket:
        if not 0 < len(job.ids) < self.info.context_length or job.candidates < 1:
            raise ValueError(
                f"a job needs 1 to {self.info.context_length - 1} prompt tokens and at least one candidate"
            )
        task = Task(job, next(self._order))
        with self._condition:
            older = self._tasks.pop(job.key, None)
            if older is not None:
                self._end(older, Finish.SUPERSEDED)
            if self._closing:  # the worker may be gone
                task.future.set_result(task.progress.result(Finish.CANCELLED))
            else:
                self._tasks[job.key] = task
                self._released.discard(job.key)
            self._condition.notify()
        return Ticket(task.future, lambda: self._cancel(task))

    def release(self, key: Hashable) -> None:
        with self._condition:
            task = self._tasks.pop(key, None)
            if task is not None:
                self._end(task, Finish.CANCELLED)
            self._released.add(key)
            self._condition.notify()

    def resize(self, cache_bytes: int) -> None:
        """A new byte budget for the KV states; it holds when the next job ends."""
        self._slots.budget = cache_bytes

    def close(self) -> None:
        with self._condition:
            self._closing = True
            for task in self._tasks.values():
                self._end(task, Finish.CANCELLED)
            self._tasks.clear()
            self._condition.notify()
        # A thread that is inside torch when the interpreter ends aborts the process.
        self._thread.join()

    def _cancel(self, task: Task) -> None:
        with self._condition:
            if self._tasks.get(task.job.key) is task:
                del self._tasks[task.job.key]
                self._end(task, Finish.CANCELLED)
                self._condition.notify()

    def _end(self, task: Task, finish: Finish) -> None:
        task.ending = finish
        self._ended.append(task)

    def _work(self) -> None:
        with torch.inference_mode():
            while True:
                with self._condition:
                    self._condition.wait_for(lambda: self._tasks or self._ended or self._released or self._closing)
                    ended, self._ended = self._ended, []
                    released, self._released = self._released, set()
                    task = min(self._tasks.values(), key=lambda task: task.rank, default=None)
                    closing = self._closing
                for key in released:
                    self._slots.drop(key)
                for other in ended:
                    assert other.ending is not None
                    other.future.set_result(other.progress.result(other.ending))
                if task is not None:
                    self._step(task)
                elif closing:
                    return

    def _step(self, task: Task) -> None:
        """One chunk or token of a job, on the worker thread."""
        try:
            if task.steps is None:
                slot = self._slots.take(task.job.key, task.job.ids)
                task.steps = run(self._model, slot, task.progress, self.info.context_length)
            next(task.steps)
        except StopIteration:
            self._finish(task, None)
        except Exception as error:
            self._slots.drop(task.job.key)
            self._finish(task, error)

    def _finish(self, task: Task, error: Exception | None) -> None:
        with self._condition:
            if task.ending is not None:  # ended while its last step ran: the loop answers it
                return
            del self._tasks[task.job.key]
            alive = set(self._tasks)
        self._slots.shrink(keep=alive | {task.job.key})
        if error is None:
            task.future.set_result(task.progress.result(Finish.LENGTH))
        else:
            task.future.set_exception(error)
