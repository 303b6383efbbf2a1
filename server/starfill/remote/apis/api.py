"""What a kind of serving engine has to bring: plain values in, plain values out; nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starfill.jobs import Sampling


@dataclass(frozen=True, slots=True)
class Described:
    """What an engine says of itself. model: the name to ask for. known_as: what else its model is called, such as the
    repository that an alias stands for. context_length: tokens of prompt and answer, 0 where it doesn't say.
    chat_template: the Jinja text, where it says it. slots: how many it has, of an engine where one can be asked for."""

    model: str
    known_as: str
    context_length: int = 0
    chat_template: str | None = None
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """One answer to ask for.

    prompt: token ids for a kind that takes them, else text without the token that begins a text: all engines put that
    first by themselves. begins: what the answer must begin with, for a kind that can force it. stop_ids: for those that
    take them. slot: where the document's state is, see `SlotAssignment`.
    """

    model: str
    prompt: str | Sequence[int]
    max_tokens: int
    sampling: Sampling
    begins: str = ""
    stop_ids: frozenset[int] = frozenset()
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer.

    finish: why it has ended, with its last part. prompt_tokens, cached_tokens: of the prompt, found in the engine's own
    cache, once it says so.
    """

    text: str = ""
    finish: str | None = None  # "stop" or "length"
    prompt_tokens: int | None = None
    cached_tokens: int | None = None


class Api(Protocol):
    """takes_ids: a prompt may be token ids. forces: an answer can be made to begin with a text.

    path: where completions are asked for. probe: where a working engine answers at once.
    """

    name: str
    takes_ids: bool
    forces: bool
    path: str
    probe: str

    def body(self, ask: Ask) -> dict[str, Any]:
        """The JSON of a request for a streamed answer."""
        ...

    def read(self, event: Mapping[str, Any]) -> Piece:
        """An event of the answer. KeyError, TypeError, IndexError or ValueError for what is none."""
        ...


def text_of(value: object) -> str:
    """ValueError for anything but text."""
    if not isinstance(value, str):
        raise ValueError
    return value


def count_of(value: object) -> int | None:
    """A number of tokens, None where there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
