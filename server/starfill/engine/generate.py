"""Prefill and decode of one job, as a generator. It pauses after each chunk or token, so that the job can give way.

The candidates of a job are decoded together: each step is one pass of the model over one token of each. A single
candidate is decoded several tokens a step where a proposal is worth it; what the model agrees with is kept.

If memory runs out in a pass, nothing has been computed. The generator pauses then too, and repeats the pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import TypeVar

import torch

from starfill.engine.chunking import ChunkSize, wait
from starfill.engine.decoding import Candidate, JobProgress, generator_for, goes_on, going_on, greedy_of, tokens_of
from starfill.engine.kv.prefix_cache import Slot
from starfill.engine.model import LanguageModel
from starfill.engine.out_of_memory import naming_out_of_memory
from starfill.engine.prompt_lookup import Proposer
from starfill.jobs import Finish

T = TypeVar("T")


class Pause(Enum):
    """Why a job pauses."""

    DONE = "a chunk or token has been computed"
    OUT_OF_MEMORY = "memory ran out: without more room the next try would fail too"


Steps = Generator[Pause, None, T]


def run(
    model: LanguageModel, slot: Slot, progress: JobProgress, context_length: int, chunk_size: ChunkSize
) -> Iterator[Pause]:
    """Run a job in `slot`, which is trimmed to the prefix that it shares with the prompt. Yields wherever the job may
    be interrupted.

    The first candidate is decoded in the slot itself, so its KV state is kept: it is the one that an editor shows.
    """
    job = progress.job
    progress.started = time.perf_counter()
    progress.cached_tokens = len(slot.ids)
    logits = yield from _prefill(model, slot, progress, chunk_size)
    if job.max_new_tokens == 0:
        progress.finish = [Finish.LENGTH] * job.candidates
        return
    yield Pause.DONE
    limit = min(job.max_new_tokens, context_length - len(job.ids) + 1)  # nobody needs what follows the last token
    began = time.perf_counter()
    alive = []
    for number in range(job.candidates):
        its = slot if number == 0 else (yield from _retrying_out_of_memory(slot.fork))
        alive.append(Candidate(number, its, generator_for(job, number, logits.device), job.allowed))
    alive = going_on(alive, logits.expand(len(alive), -1), progress, limit)
    progress.decode_s += time.perf_counter() - began
    if alive and job.candidates == 1:
        yield from _speculate(model, alive[0], progress, limit, chunk_size)
    else:
        yield from _decode(model, alive, progress, limit)


def _decode(model: LanguageModel, alive: list[Candidate], progress: JobProgress, limit: int) -> Steps[None]:
    """Decode one token of each candidate a step, until all have ended."""
    while alive:
        yield Pause.DONE
        began = time.perf_counter()
        slots, ids = [each.slot for each in alive], [progress.candidates[each.number][-1] for each in alive]
        rows = yield from _retrying_out_of_memory(partial(advance, model, slots, ids))
        progress.steps += 1
        alive = going_on(alive, rows, progress, limit)
        progress.decode_s += time.perf_counter() - began


def _speculate(
    model: LanguageModel, candidate: Candidate, progress: JobProgress, limit: int, chunk_size: ChunkSize
) -> Steps[None]:
    """Decode one candidate. Each step computes its last token and a proposal, and keeps what the model agrees with.

    Its tokens are chosen one by one, with the same random numbers as without proposals. It also pauses between the
    tokens of one step. The slot may then hold more than the answer: still exactly the ids that its KV state was
    computed from.
    """
    ids, slot, job = progress.candidates[candidate.number], candidate.slot, progress.job
    proposer = Proposer(job.ids, job.draft, chunk_size.learned)
    more = True
    while more:
        yield Pause.DONE
        began = time.perf_counter()
        right = len(slot.ids) + 1
        proposal = proposer.propose(ids, most=limit - len(ids) - 1)
        verify = partial(_verify, model, slot, [ids[-1], *proposal], chunk_size)
        computing, rows = yield from _retrying_out_of_memory(verify)
        chosen = tokens_of(candidate, rows, greedy_of(model.kv_shape, rows, job.sampling), progress)
        token = next(chosen)  # reading a token is all that waits for a GPU
        chunk_size.learned.costs.learn(len(rows), chunk_size.clock() - computing)
        progress.steps += 1
        more = goes_on(candidate, token, progress, limit)
        for token in proposal:
            if not more or ids[-1] != token:
                break
            right += 1
            progress.decode_s += time.perf_counter() - began
            yield Pause.DONE
            began = time.perf_counter()
            more = goes_on(candidate, next(chosen), progress, limit)
        slot.trim(right)
        progress.decode_s += time.perf_counter() - began


def feed(model: LanguageModel, slot: Slot, ids: Sequence[int], last: int) -> torch.Tensor:
    """Compute `ids` behind those of the slot. Returns logits [last, vocab]. The slot's ids and KV grow together or not
    at all.
    """
    try:
        logits = model(torch.tensor(ids, dtype=torch.int64), slot.cache, last)
    except BaseException:
        slot.trim(len(slot.ids))
        raise
    slot.ids.extend(ids)
    return logits


def advance(model: LanguageModel, slots: Sequence[Slot], ids: Sequence[int]) -> torch.Tensor:
    """Compute one more token of each slot in one pass, or of none. Returns logits [len(slots), vocab]."""
    if len(slots) == 1:
        return feed(model, slots[0], ids, last=1)
    try:
        logits = model.step(torch.tensor(ids, dtype=torch.int64), [slot.cache for slot in slots])
    except BaseException:
        for slot in slots:  # a model that computes one sequence after the other has advanced some
            slot.trim(len(slot.ids))
        raise
    for slot, id in zip(slots, ids, strict=True):
        slot.ids.append(id)
    return logits


def _prefill(model: LanguageModel, slot: Slot, progress: JobProgress, chunk_size: ChunkSize) -> Steps[torch.Tensor]:
    """Compute the rest of the prompt. Returns the logits [vocab] after its last token."""
    ids = progress.job.ids
    while True:
        began, before = time.perf_counter(), len(slot.ids)
        logits = yield from _retrying_out_of_memory(partial(_chunk, model, slot, ids, chunk_size))
        progress.computed_tokens += len(slot.ids) - before
        progress.prefill_s += time.perf_counter() - began
        if len(slot.ids) == len(ids):
            return logits[0]
        yield Pause.DONE


def _chunk(model: LanguageModel, slot: Slot, ids: Sequence[int], chunk_size: ChunkSize) -> torch.Tensor:
    """Compute the next tokens of a prompt. Returns logits [1, vocab] if they are its last ones, else [0, vocab]."""
    began = chunk_size.clock()
    chunk = ids[len(slot.ids) : len(slot.ids) + chunk_size.tokens]
    logits = feed(model, slot, chunk, last=int(len(slot.ids) + len(chunk) == len(ids)))
    wait(model.kv_shape)
    chunk_size.learn(len(chunk), chunk_size.clock() - began)
    return logits


def _verify(model: LanguageModel, slot: Slot, ids: Sequence[int], chunk_size: ChunkSize) -> tuple[float, torch.Tensor]:
    """Compute `ids` in one pass. Returns when the pass began, and its logits [len(ids), vocab]."""
    return chunk_size.clock(), feed(model, slot, ids, last=len(ids))


def _retrying_out_of_memory(compute: Callable[[], T]) -> Steps[T]:
    """The result of `compute`, which is called again after it ran out of memory, so it must undo what it did."""
    while True:
        # The error is forgotten before the pause: it refers to the tensors of the pass that failed.
        with suppress(torch.OutOfMemoryError), naming_out_of_memory():
            return compute()
        yield Pause.OUT_OF_MEMORY
