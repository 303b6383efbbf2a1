"""The difference of two texts in the form of the protocol's didChange. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starfill.util.common_prefix import common_prefix

Location = tuple[int, int]
"""Line and column in characters, from 0."""


@dataclass(frozen=True, slots=True)
class TextChange:
    """Replaces the text between `start` and `end` by `text`."""

    start: Location
    end: Location
    text: str


def change(before: Sequence[str], after: Sequence[str], cursor: Location) -> TextChange | None:
    """One replacement that turns one list of lines into the other; None if they are equal.

    cursor: where it is now. The text after it is compared first: among equal characters that tells which of them was
    typed.
    """
    fewer = min(len(before), len(after)) - 1
    tail = min(common_prefix(before[::-1], after[::-1]), fewer, len(after) - 1 - cursor[0])
    first = min(common_prefix(before, after), fewer - tail)
    old, new = before[first : len(before) - tail], after[first : len(after) - tail]
    if old == new:
        return None
    kept = common_prefix(old[-1][::-1], new[-1][::-1])
    if len(after) - 1 - tail == cursor[0]:
        kept = min(kept, len(new[-1]) - cursor[1])
    room = min(len(lines[0]) - (kept if len(lines) == 1 else 0) for lines in (old, new))
    head = min(common_prefix(old[0], new[0]), room)
    text = "\n".join(new)
    end = (first + len(old) - 1, len(old[-1]) - kept)
    return TextChange((first, head), end, text[head : len(text) - kept])
