"""What is asked of each system, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from traces.typist import Change, Place


@dataclass(frozen=True, slots=True)
class Prompt:
    """ids: Starfill's own prompt, for systems that take tokens. prefix, suffix, typed: the same as text.

    typed: what stands after the anchor, which is the beginning of what the model continues.
    """

    ids: tuple[int, ...]
    prefix: str
    suffix: str
    typed: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A completion to be asked for, right after a change (or none).

    tokens: of the answer; a language server decides that itself. accepted: the change is the suggestion made before.
    """

    document: int
    change: Change | None
    cursor: Place
    prompt: Prompt
    tokens: int
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Milliseconds from sending the change to the first token, and to the whole suggestion.

    computed: prompt tokens that weren't found in a cache. steps: passes of the model after the first token.
    prefill_ms: what the system itself says that computing them took; None where it doesn't say.
    source: "model", or "reuse" where no model was asked. suggestion: as a change of the document; None for none.
    """

    first_ms: float
    whole_ms: float
    prompt: int
    computed: int
    generated: int
    steps: int
    prefill_ms: float | None = None
    source: str = "model"
    suggestion: Change | None = None


class Peer(Protocol):
    """A system in a process of its own. Documents are told to those that keep them."""

    name: str

    @property
    def pid(self) -> int: ...

    @property
    def weight_bytes(self) -> int:
        """What is read of the weights for each token."""
        ...

    @property
    def kv_bytes(self) -> int:
        """Of the KV state, for each token of context."""
        ...

    def open(self, uris: Sequence[str], texts: Sequence[str]) -> None:
        """The documents of a trace, from then on known by their number. Those of the trace before are closed."""
        ...

    def edit(self, document: int, change: Change) -> None:
        """A change after which nothing is asked."""
        ...

    def complete(self, ask: Ask) -> Answer: ...

    def close(self) -> None: ...
