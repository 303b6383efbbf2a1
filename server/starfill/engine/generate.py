"""Prefill and decode of one job as a generator: it pauses after each chunk or token, so that a job can give way.

The candidates of a job are decoded together: each step is one pass of the model over one token of each. A single
candidate is decoded several tokens a step where a proposal is worth it, as far as the model agrees with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from starfill.engine.job import Finish, Job, Result
from starfill.engine.kv_cache import KVCache, KVShape
from starfill.engine.sampling import pick
from starfill.engine.slots import Slot
from starfill.engine.speculate import Learned, Proposer

CHUNK = 128  # tokens prefilled between two chances to give way, at most
LEAST = 16  # and at least: fewer take a large model hardly less time
PAUSE = 0.05  # seconds that it should take


class Model(Protocol):
    @property
    def kv_shape(self) -> KVShape: ...

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor: ...

    def step(self, ids: torch.Tensor, caches: Sequence[KVCache]) -> torch.Tensor: ...


@dataclass(slots=True)
class Progress:
    """What a job has come to so far; `result` can be asked for at any point, however the job ends."""

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
    """An answer being decoded, with random numbers of its own, so that it doesn't depend on the other ones.

    slot: the prompt and what has been computed of the answer. constraint: as in `Job.allowed`; None once it is over.
    """

    number: int
    slot: Slot
    generator: torch.Generator
    constraint: Callable[[Sequence[int]], Sequence[int] | None] | None


class Pace:
    """How much a model computes in one pass, from how long its passes take.

    chunk: tokens of a prompt; few for a slow model, so that it gives way in time. learned: what is worth proposing.
    """

    def __init__(self) -> None:
        self.chunk = CHUNK
        self.learned = Learned()

    def learn(self, tokens: int, seconds: float) -> None:
        if tokens >= LEAST:  # what a pass costs besides would count for too much
            self.chunk = min(max(int(PAUSE * tokens / max(seconds, 1e-6)), LEAST), CHUNK)


def run(model: Model, slot: Slot, progress: Progress, context_length: int, pace: Pace) -> Iterator[None]:
    """`slot` is trimmed to what it shares with the prompt. Pauses (yields) wherever the job may be interrupted.

    The first candidate is decoded in the slot itself, so its KV state stays: it is the one that an editor shows.
    """
    job = progress.job
    progress.started = time.perf_counter()
    progress.cached_tokens = len(slot.ids)
    logits = yield from _prefill(model, slot, progress, pace)
    if job.max_new_tokens == 0:
        progress.finish = [Finish.LENGTH] * job.candidates
        return
    yield
    limit = min(job.max_new_tokens, context_length - len(job.ids) + 1)  # the last token needn't be computed
    began = time.perf_counter()
    alive = [
        Candidate(number, slot if number == 0 else slot.fork(), _generator(job, number, logits.device), job.allowed)
        for number in range(job.candidates)
    ]
    alive = [each for each in alive if _goes_on(each, logits, progress, limit)]
    progress.decode_s += time.perf_counter() - began
    if alive and job.candidates == 1:
        yield from _speculate(model, alive[0], progress, limit, pace.learned)
    else:
        yield from _decode(model, alive, progress, limit)


def _decode(model: Model, alive: list[Candidate], progress: Progress, limit: int) -> Iterator[None]:
    """One token of each candidate a step, until all have ended."""
    while alive:
        yield
        began = time.perf_counter()
        rows = advance(model, [each.slot for each in alive], [progress.candidates[each.number][-1] for each in alive])
        progress.steps += 1
        alive = [each for each, row in zip(alive, rows, strict=True) if _goes_on(each, row, progress, limit)]
        progress.decode_s += time.perf_counter() - began


def _speculate(model: Model, candidate: Candidate, progress: Progress, limit: int, learned: Learned) -> Iterator[None]:
    """Decode one candidate: each step computes its last token and a proposal, and keeps what the model agrees with.

    Its tokens are chosen one by one, with the same random numbers as without proposals. It pauses between those of one
    step too. Then the slot may hold more than the answer: still exactly what its KV state was computed from.
    """
    ids, slot, job = progress.candidates[candidate.number], candidate.slot, progress.job
    proposer = Proposer(job.ids, job.draft, learned)
    goes_on = True
    while goes_on:
        yield
        began = time.perf_counter()
        right = len(slot.ids) + 1
        proposal = proposer.propose(ids, most=limit - len(ids) - 1)
        computing = time.thread_time()  # without waiting for a busy machine's other work
        rows = feed(model, slot, [ids[-1], *proposal], last=len(proposal) + 1)
        learned.costs.learn(len(proposal) + 1, time.thread_time() - computing)
        progress.steps += 1
        goes_on = _goes_on(candidate, rows[0], progress, limit)
        for token, row in zip(proposal, rows[1:], strict=True):
            if not goes_on or ids[-1] != token:
                break
            right += 1
            progress.decode_s += time.perf_counter() - began
            yield
            began = time.perf_counter()
            goes_on = _goes_on(candidate, row, progress, limit)
        slot.trim(right)
        progress.decode_s += time.perf_counter() - began


def feed(model: Model, slot: Slot, ids: Sequence[int], last: int) -> torch.Tensor:
    """Compute `ids` behind the slot's; logits [last, vocab]. The slot's ids and KV grow together or not at all."""
    logits = model(torch.tensor(ids, dtype=torch.int64, device=model.kv_shape.device), slot.cache, last)
    slot.ids.extend(ids)
    return logits


def advance(model: Model, slots: Sequence[Slot], ids: Sequence[int]) -> torch.Tensor:
    """Compute one more token of each slot in one pass; logits [len(slots), vocab]."""
    if len(slots) == 1:
        return feed(model, slots[0], ids, last=1)
    logits = model.step(torch.tensor(ids, dtype=torch.int64, device=model.kv_shape.device), [s.cache for s in slots])
    for slot, id in zip(slots, ids, strict=True):
        slot.ids.append(id)
    return logits


def _prefill(model: Model, slot: Slot, progress: Progress, pace: Pace) -> Generator[None, None, torch.Tensor]:
    """Returns the logits [vocab] after the prompt's last token."""
    ids = progress.job.ids
    while True:
        began, computing = time.perf_counter(), time.thread_time()
        chunk = ids[len(slot.ids) : len(slot.ids) + pace.chunk]
        done = len(slot.ids) + len(chunk) == len(ids)
        logits = feed(model, slot, chunk, last=int(done))
        pace.learn(len(chunk), time.thread_time() - computing)
        progress.computed_tokens += len(chunk)
        progress.prefill_s += time.perf_counter() - began
        if done:
            return logits[0]
        yield


def _generator(job: Job, number: int, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device=device)
    if job.sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(job.sampling.seed + number)
    return generator


def _goes_on(candidate: Candidate, logits: torch.Tensor, progress: Progress, limit: int) -> bool:
    """Choose a candidate's next token from logits [vocab]; False when the candidate has ended. limit: its tokens."""
    job, ids = progress.job, progress.candidates[candidate.number]
    allowed = candidate.constraint(ids) if candidate.constraint else None
    if allowed is None:
        candidate.constraint = None
    token = pick(logits, job.sampling, candidate.generator, allowed)
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
