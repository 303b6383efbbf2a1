"""Prompt templates: texts as a model's card prints them, with control tokens and {fields}, converted to token ids.

A template is cut into pieces before anything is filled in. So the text of a field can never become a control token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from starfill.assist.prompts.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Field:
    """A field to fill in, written {name}."""

    name: str


Piece = Union[int, str, Field]  # noqa: UP007 - evaluated, also by Python 3.10; a control token's id, text, or a field


def cut(template: str, controls: Mapping[str, int]) -> tuple[Piece, ...]:
    """The pieces of a template. controls: the id of each control token as the template writes it."""
    tokens = "|".join(re.escape(token) for token in sorted(controls, key=len, reverse=True))
    pieces: list[Piece] = []
    at = 0
    for match in re.finditer(rf"\{{(\w+)\}}|({tokens})" if tokens else r"\{(\w+)\}()", template):
        if at < match.start():
            pieces.append(template[at : match.start()])
        pieces.append(Field(match[1]) if match[1] else controls[match[2]])
        at = match.end()
    if at < len(template):
        pieces.append(template[at:])
    return tuple(pieces)


def fill(
    pieces: Sequence[Piece], values: Mapping[str, str], tokenizer: Tokenizer, bos: int | None = None
) -> tuple[int, ...]:
    """The token ids of a template with texts for its fields. Text between two control tokens is encoded as one.

    bos: the id that comes first. The first text, unless a control token stands before it, begins the sequence: see
    `Tokenizer.encode`.
    """
    ids = [] if bos is None else [bos]
    text, start = "", True
    for piece in (*pieces, None):
        if isinstance(piece, str):
            text += piece
        elif isinstance(piece, Field):
            text += values[piece.name]
        else:
            if text:
                ids += tokenizer.encode(text, start=start)
            if piece is not None:
                ids.append(piece)
            text, start = "", False
    return tuple(ids)
