"""Prefill and decode of one job as a generator: it pauses after each chunk or token, so that a job can give way."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from starfill.engine.job import Finish, Job, Result
from starfill.engine.kv_cache import KVCache, KVShape
from starfill.engine.sampling import pick
from starfill.engine.slots import Slot

CHUNK = 128  # tokens prefilled between two chances to give way


class Model(Protocol):
    @property
    def kv_shape(self) -> KVShape: ...

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor: ...


@dataclass(slots=True)
class Progress:
    """What a job has come to so far; `result` can be asked for at any point, however the job ends."""

    job: Job
    submitted: float  # time.perf_counter()
    candidates: list[list[int]] = field(init=False)
    finish: list[Finish | None] = field(init=False)
    cached_tokens: int = 0
    computed_tokens: int = 0
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
            queue_ms=waited * 1e3,
            prefill_ms=self.prefill_s * 1e3,
            decode_ms=self.decode_s * 1e3,
        )


def run(model: Model, slot: Slot, progress: Progress, context_length: int) -> Iterator[None]:
    """`slot` is trimmed to what it shares with the prompt. Pauses (yields) wherever the job may be interrupted."""
    job = progress.job
    progress.started = time.perf_counter()
    progress.cached_tokens = len(slot.ids)
    logits = yield from _prefill(model, slot, progress)
    prompt = len(job.ids)
    generator = torch.Generator(device=logits.device)
    if job.sampling.seed is not None:
        generator.manual_seed(job.sampling.seed)
    else:
        generator.seed()
    # The first candidate last: its KV stays in the slot, and it is the one that an editor shows.
    for candidate in reversed(range(job.candidates)):
        slot.trim(prompt)
        yield from _decode(model, slot, progress, candidate, logits, generator, context_length)


def feed(model: Model, slot: Slot, ids: Sequence[int], last: int) -> torch.Tensor:
    """Compute `ids` behind the slot's; logits [last, vocab]. The slot's ids and KV grow together or not at all."""
    logits = model(torch.tensor(ids, dtype=torch.int64, device=model.kv_shape.device), slot.cache, last)
    slot.ids.extend(ids)
    return logits


def _prefill(model: Model, slot: Slot, progress: Progress) -> Generator[None, None, torch.Tensor]:
    """Returns the logits [vocab] after the prompt's last token."""
    ids = progress.job.ids
    while True:
        began = time.perf_counter()
        chunk = ids[len(slot.ids) : len(slot.ids) + CHUNK]
        done = len(slot.ids) + len(chunk) == len(ids)
        logits = feed(model, slot, chunk, last=int(done))
        progress.computed_tokens += len(chunk)
        progress.prefill_s += time.perf_counter() - began
        if done:
            return logits[0]
        yield


def _decode(
    model: Model,
    slot: Slot,
    progress: Progress,
    candidate: int,
    logits: torch.Tensor,
    generator: torch.Generator,
    context_length: int,
) -> Iterator[None]:
    job, ids = progress.job, progress.candidates[candidate]
    constraint = job.allowed
    progress.finish[candidate] = Finish.LENGTH if job.max_new_tokens == 0 else None
    while progress.finish[candidate] is None:
        yield
        began = time.perf_counter()
        if ids:
            logits = feed(model, slot, ids[-1:], last=1)[0]
        allowed = constraint(ids) if constraint else None
        if allowed is None:
            constraint = None
        token = pick(logits, job.sampling, generator, allowed)
        if token in job.stop_ids:
            progress.finish[candidate] = Finish.STOP
        else:
            ids.append(token)
            if job.on_token(candidate, token):
                progress.finish[candidate] = Finish.STOP
            elif len(ids) >= job.max_new_tokens or len(slot.ids) >= context_length:
                progress.finish[candidate] = Finish.LENGTH
        progress.decode_s += time.perf_counter() - began
