"""What goes into the engine and what comes out: plain values, no torch.

A `Job` is one prompt of token ids. `Engine.submit` returns a `Ticket` at once, whose future resolves to a `Result`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Protocol

OnTrouble = Callable[["str | None"], None]  # with a sentence when jobs fail, with None when they work again


class Priority(IntEnum):
    """Lower runs first. A running job gives way to a lower one at the next chunk or token."""

    COMPLETION = 0
    INSTRUCTION = 1
    IDLE = 2


class Finish(Enum):
    STOP = "stop"  # a stop id was sampled, or `on_token` asked for the end
    LENGTH = "length"  # max_new_tokens, or the model's last position, was reached
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # a newer job for the same key arrived


@dataclass(frozen=True, slots=True)
class Sampling:
    """temperature 0 is greedy; otherwise top-p (nucleus) sampling, reproducible if `seed` is given.

    Candidate k draws with seed + k: the same as candidate 0 of a job with that seed, however many there are.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


def never(candidate: int, token: int) -> bool:
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One prompt for the model.

    key: the slot (a document); a newer job of the same key supersedes an older one.
    ids: the prompt, at least one token.
    max_new_tokens: 0 only prefills the slot.
    candidates: answers to the same prompt, decoded together.
    stop_ids: sampling one of these ends a candidate; it is not part of the answer.
    on_token(candidate, token): called on the engine's thread for each new token (never for a stop id); True ends that
        candidate after this token. Must be quick.
    allowed(candidate_ids): called on the engine's thread with the ids generated so far; returns the ids that may
        follow, or None if any may (token healing). After None it is not called again for that candidate.
    begins: the same for an engine that has no such function: ids for the bytes that the answer must begin with.
    draft: tokens that the answer probably repeats in runs (the source of a rewrite, the suggestion before this one),
        besides those of the prompt. Changes how fast the answer of a job with one candidate comes, never which; see
        engine/prompt_lookup.py.
    """

    key: Hashable
    ids: Sequence[int]
    max_new_tokens: int
    stop_ids: frozenset[int] = frozenset()
    sampling: Sampling = Sampling()
    candidates: int = 1
    priority: Priority = Priority.COMPLETION
    on_token: Callable[[int, int], bool] = never
    allowed: Callable[[Sequence[int]], Sequence[int] | None] | None = None
    begins: tuple[int, ...] = ()
    draft: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a job, also if it was cut short: cancelling is the normal case, not an error.

    prompt_tokens = cached_tokens (found in the slot) + computed_tokens (prefilled), unless cut short while prefilling.
    steps: passes of the model in decode; prefill already yields each candidate's first token.
    """

    candidates: tuple[tuple[int, ...], ...]
    finish: tuple[Finish, ...]
    prompt_tokens: int
    cached_tokens: int
    computed_tokens: int
    generated_tokens: int
    steps: int
    queue_ms: float
    prefill_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """A submitted job. `cancel()` is thread-safe and stops it before its next token; the future still gets a Result.

    Its exception is an EngineError if a remote engine fails, or if a GPU's memory isn't enough for this job alone.
    """

    future: Future[Result]
    cancel: Callable[[], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What `assist` and the status line need to know of a loaded model."""

    name: str
    architecture: str
    device: str  # "cpu" or "cuda:0"
    kernel: str  # the linear kernel chosen, e.g. "native-int16"
    context_length: int  # positions, prompt and answer together
    vocab_size: int
    kv_bytes_per_token: int
    weight_bytes: int


class Engine(Protocol):
    """The engine as `assist` sees it, so that a scripted one can stand in."""

    @property
    def info(self) -> ModelInfo: ...

    def submit(self, job: Job) -> Ticket: ...

    def release(self, key: Hashable) -> None:
        """Drop the slot of a closed document."""
        ...

    @property
    def cache_bytes(self) -> int:
        """The byte budget for the KV states of all documents, of all models that share it; 0 if no states are on this
        machine.
        """
        ...

    def resize(self, cache_bytes: int | None) -> None:
        """Set the budget; None for one that suits the models and the machine."""
        ...

    def persist(self, nbytes: int, keeps: Callable[[str], bool]) -> None:
        """Save the KV states of recent documents on disk, in at most `nbytes` (0: none, and remove what is there).

        keeps: whether a document may be saved. Only jobs whose key is text stand for a document.
        """
        ...

    def watch(self, on_trouble: OnTrouble) -> None:
        """on_trouble: called from any thread, with a sentence when jobs fail and the next ones would fail too, and with
        None when they work again. A local engine calls it once, when a GPU's memory runs out; its jobs go on, with less
        memory.
        """
        ...

    def close(self) -> None:
        """End all jobs as cancelled and drop their KV states. Waits for the chunk or token being computed."""
        ...
