"""Places in a text, and the protocol's three ways of counting characters.

Inside Starfill a place is an *offset*: a number of code points from the beginning of the document. The protocol's
positions count lines and, within a line, code units of the encoding that client and server agreed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Encoding(Enum):
    """The unit of `Position.character`. A lone surrogate counts as 3 bytes, 1 unit or 1 code point."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    UTF32 = "utf-32"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Zero-based; `character` counts code units of an `Encoding`."""

    line: int
    character: int


@dataclass(frozen=True, slots=True)
class Range:
    """From `start` up to `end`, as the client sent it: the two may be in the wrong order or outside the document."""

    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class Span:
    """Code points `start` up to `end` (excluded) of a document; start <= end."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the code points `start` up to `end` (excluded) by `text`."""

    start: int
    end: int
    text: str


def units(text: str, encoding: Encoding) -> int:
    """How many code units `text` has."""
    if encoding is Encoding.UTF32 or text.isascii():
        return len(text)
    if encoding is Encoding.UTF16:
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    return len(text.encode("utf-8", "surrogatepass"))


def characters(text: str, count: int, encoding: Encoding) -> int:
    """How many code points are in the first `count` code units of `text`.

    A count beyond the text means all of it. One inside a character leaves that character out.
    """
    text = text[: max(count, 0)]  # every character has at least one unit
    if encoding is Encoding.UTF32 or text.isascii():
        return len(text)
    if encoding is Encoding.UTF16:
        data = text.encode("utf-16-le", "surrogatepass")
        cut = min(2 * count, len(data))
        if 0 < cut < len(data) and 0xD8 <= data[cut - 1] < 0xDC <= data[cut + 1] < 0xE0:
            cut -= 2  # between the halves of a pair
        return len(data[:cut].decode("utf-16-le", "surrogatepass"))
    data = text.encode("utf-8", "surrogatepass")
    cut = min(count, len(data))
    while 0 < cut < len(data) and data[cut] & 0xC0 == 0x80:  # a continuation byte
        cut -= 1
    return len(data[:cut].decode("utf-8", "surrogatepass"))
