"""A job that is sent to a remote engine, and its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from starfill.jobs import Finish, Job, Result
from starfill.remote.stream import AnswerStream


class RemoteJob:
    """Used on the network's thread. ending: why it has to stop early.

    prompt_tokens, cached_tokens: as the engine counts them, if it reports them.
    """

    def __init__(self, job: Job, clock: Callable[[], float]) -> None:
        self.job, self._clock = job, clock
        self.future: Future[Result] = Future()
        self.future.set_running_or_notify_cancel()
        self.began = self._clock()
        self.sent = 0.0  # 0 while it waits for a pause in the typing
        self.first: float | None = None
        self.prompt_tokens: int | None = None
        self.cached_tokens = 0
        self.answers: list[AnswerStream] = []
        self.work: asyncio.Task[None] | None = None
        self.ending: Finish | None = None

    def result(self, ending: Finish | None = None) -> Result:
        """ending: of all candidates, for a job that was cut short."""
        now = self._clock()
        first = self.first or now
        prompt = len(self.job.ids) if self.prompt_tokens is None else self.prompt_tokens
        answers = [(tuple(answer.ids), answer.finish) for answer in self.answers]
        return Result(
            candidates=tuple(ids for ids, _ in answers) or ((),) * self.job.candidates,
            finish=tuple(ending or finish or Finish.STOP for _, finish in answers)
            or (ending or Finish.STOP,) * self.job.candidates,
            prompt_tokens=prompt,
            cached_tokens=min(self.cached_tokens, prompt),
            computed_tokens=prompt - min(self.cached_tokens, prompt),
            generated_tokens=sum(len(ids) for ids, _ in answers),
            steps=max((answer.pieces for answer in self.answers), default=0),
            queue_ms=((self.sent or now) - self.began) * 1e3,
            prefill_ms=(first - (self.sent or now)) * 1e3,
            decode_ms=(now - first) * 1e3,
        )
