"""What each API of a serving engine has to provide: plain values in, plain values out. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starfill.jobs import Sampling


@dataclass(frozen=True, slots=True)
class Described:
    """How an engine describes itself. model: the name to ask for. known_as: further names of its model, such as the
    repository that an alias stands for. context_length: tokens of prompt and answer, 0 if unknown. chat_template: Jinja
    text, if it is known. slots: their number, for an engine where a request may choose one.
    """

    model: str
    known_as: str
    context_length: int = 0
    chat_template: str | None = None
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one answer.

    prompt: token ids for an API that takes them, else text without the token that begins a text: all engines add that
    themselves. begins: what the answer must begin with, for an API that can force it. stop_ids: for an API that takes
    them. slot: where the document's state is, see `SlotAssignment`.
    """

    model: str
    prompt: str | Sequence[int]
    max_tokens: int
    sampling: Sampling
    begins: str = ""
    stop_ids: frozenset[int] = frozenset()
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """A part of an answer.

    finish: why the answer ended, in its last part. prompt_tokens, cached_tokens: of the prompt, and of those the ones
    found in the engine's own cache, once it reports them.
    """

    text: str = ""
    finish: str | None = None  # "stop" or "length"
    prompt_tokens: int | None = None
    cached_tokens: int | None = None


class Api(Protocol):
    """takes_ids: a prompt may be token ids. forces: an answer can be made to begin with a text.

    path: of completions. probe: the path at which a working engine answers at once.
    """

    name: str
    takes_ids: bool
    forces: bool
    path: str
    probe: str

    def body(self, ask: Ask) -> dict[str, Any]:
        """The JSON body of a request for a streamed answer."""
        ...

    def read(self, event: Mapping[str, Any]) -> AnswerPart:
        """An event of the answer. Raises KeyError, TypeError, IndexError or ValueError for anything that is none."""
        ...


def text_of(value: object) -> str:
    """Raises ValueError for anything but text."""
    if not isinstance(value, str):
        raise ValueError
    return value


def count_of(value: object) -> int | None:
    """A number of tokens; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
