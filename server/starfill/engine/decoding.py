"""The progress of a job, and how its candidates choose their tokens from the logits of a pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from starfill.engine.kv.kv_cache import KVShape
from starfill.engine.kv.prefix_cache import Slot
from starfill.engine.sampling import pick
from starfill.jobs import Finish, Job, Result, Sampling


@dataclass(slots=True)
class JobProgress:
    """What a job has produced so far. `result` may be asked for at any point, however the job ends."""

    job: Job
    submitted: float  # time.perf_counter()
    candidates: list[list[int]] = field(init=False)
    finish: list[Finish | None] = field(init=False)
    cached_tokens: int = 0
    computed_tokens: int = 0
    steps: int = 0
    started: float | None = None
    prefill_s: float = 0.0
    decode_s: float = 0.0

    def __post_init__(self) -> None:
        self.candidates = [[] for _ in range(self.job.candidates)]
        self.finish = [None] * self.job.candidates

    def result(self, unfinished: Finish) -> Result:
        waited = (time.perf_counter() if self.started is None else self.started) - self.submitted
        return Result(
            candidates=tuple(map(tuple, self.candidates)),
            finish=tuple(finish or unfinished for finish in self.finish),
            prompt_tokens=len(self.job.ids),
            cached_tokens=self.cached_tokens,
            computed_tokens=self.computed_tokens,
            generated_tokens=sum(map(len, self.candidates)),
            steps=self.steps,
            queue_ms=waited * 1e3,
            prefill_ms=self.prefill_s * 1e3,
            decode_ms=self.decode_s * 1e3,
        )


@dataclass(slots=True, eq=False)
class Candidate:
    """An answer that is being decoded. Its random numbers are its own, so that it doesn't depend on other candidates.

    slot: the prompt, and the part of the answer that was computed. constraint: as in `Job.allowed`; None once it is
    over.
    """

    number: int
    slot: Slot
    generator: torch.Generator
    constraint: Callable[[Sequence[int]], Sequence[int] | None] | None

    def allowed(self, ids: Sequence[int]) -> Sequence[int] | None:
        """The ids that may follow these; None if any may."""
        allowed = self.constraint(ids) if self.constraint else None
        if allowed is None:
            self.constraint = None
        return allowed


def generator_for(job: Job, number: int, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device=device)
    if job.sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(job.sampling.seed + number)
    return generator


def greedy_of(shape: KVShape, rows: torch.Tensor, sampling: Sampling) -> list[int] | None:
    """The greedy choices for logits [n, vocab] on a GPU, in one transfer.

    None for sampling and on the CPU, where each token is chosen when it is needed.
    """
    if not shape.on_device or sampling.temperature > 0:
        return None
    greedy: list[int] = rows.argmax(-1).tolist()
    return greedy


def tokens_of(
    candidate: Candidate, rows: torch.Tensor, greedy: Sequence[int] | None, progress: JobProgress
) -> Iterator[int]:
    """The tokens that a candidate's rows [n, vocab] choose, one by one until it ends. greedy: see `greedy_of`."""
    job, ids = progress.job, progress.candidates[candidate.number]
    for number, row in enumerate(rows):
        allowed = candidate.allowed(ids)
        if greedy is not None and allowed is None:
            yield greedy[number]
        else:
            yield int(pick(row, job.sampling, candidate.generator, allowed))


def going_on(alive: Sequence[Candidate], rows: torch.Tensor, progress: JobProgress, limit: int) -> list[Candidate]:
    """Choose each candidate's next token from its row of logits [len(alive), vocab]. Returns those that haven't
    ended.
    """
    job, ids = progress.job, progress.candidates
    picked = [
        pick(row, job.sampling, each.generator, each.allowed(ids[each.number]))
        for each, row in zip(alive, rows, strict=True)
    ]
    tokens = torch.stack(picked).tolist()  # one transfer for all
    return [each for each, token in zip(alive, tokens, strict=True) if goes_on(each, token, progress, limit)]


def goes_on(candidate: Candidate, token: int, progress: JobProgress, limit: int) -> bool:
    """Add a candidate's next token; False if the candidate has ended. limit: its tokens, at most."""
    job, ids = progress.job, progress.candidates[candidate.number]
    finish = None
    if token in job.stop_ids:
        finish = Finish.STOP
    else:
        ids.append(token)
        if job.on_token(candidate.number, token):
            finish = Finish.STOP
        elif len(ids) >= limit:
            finish = Finish.LENGTH
    progress.finish[candidate.number] = finish
    return finish is None
