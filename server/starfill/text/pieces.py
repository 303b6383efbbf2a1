"""A document's text in pieces, so that the cost of an edit is that of a piece and not of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

MIN = 2_048  # characters; a smaller piece is merged with a neighbour
MAX = 4_096  # characters; a longer piece is cut in equal parts

_LINE_END = re.compile(r"\r\n?|\n")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A piece of text. A CR and LF that belong together are never in two pieces, nor are the halves of a character.

    breaks: where lines begin: the offsets in `text` right after each line end, so at most len(text).
    crlf, cr: how many of those line ends are CRLF, and CR alone.
    """

    text: str
    breaks: tuple[int, ...]
    crlf: int
    cr: int

    @classmethod
    def of(cls, text: str) -> Chunk:
        if "\r" in text:
            breaks = tuple(match.end() for match in _LINE_END.finditer(text))
            crlf = text.count("\r\n")
            return cls(text, breaks, crlf, text.count("\r") - crlf)
        lines = text.split("\n")
        lines.pop()
        return cls(text, tuple(accumulate(len(line) + 1 for line in lines)), 0, 0)


def belong_together(left: str, right: str) -> bool:
    """Whether no piece may end between these two texts: CR and LF, or the two halves of a surrogate pair."""
    if not left or not right:
        return False
    last, first = left[-1], right[0]
    return (last == "\r" and first == "\n") or ("\ud800" <= last <= "\udbff" and "\udc00" <= first <= "\udfff")


def cut(text: str) -> tuple[Chunk, ...]:
    """`text` in pieces of at most about MAX characters, at least one. Halves of a character that meet are joined."""
    if not text.isascii() and _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return tuple(Chunk.of(piece) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    count = max(1, -(-len(text) // MAX))
    start = 0
    for index in range(1, count + 1):
        end = len(text) * index // count
        if text[end - 1 : end + 1] == "\r\n":
            end += 1
        yield text[start:end]
        start = end
