"""Fenced code blocks in Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r"([ \t]*)(`{3,}(?=[^`]*\Z)|~{3,})[ \t]*(.*)")
_FARTHER_IN = 3  # columns that a closing fence may be indented more than its opening fence


@dataclass(frozen=True, slots=True)
class FencedBlock:
    """info: the text behind the opening fence. code: whole lines without the fence's indentation.

    start: the offset of the opening fence's line. closed: whether there is a closing fence.
    """

    info: str
    code: str
    start: int
    closed: bool

    @property
    def language(self) -> str:
        """The first word of `info` in lower case, or ""."""
        return re.split(r"[\s,{}:]", self.info.lstrip("{."), maxsplit=1)[0].lower()


def blocks(text: str) -> list[FencedBlock]:
    """The outermost blocks of a text with "\n" as line ends. One that is never closed goes to the text's end.

    Inside a block, a fence with a language opens a nested block, even if it is no shorter.
    """
    found: list[FencedBlock] = []
    lines = text.split("\n")
    at = offset = 0
    while at < len(lines):
        opening = _FENCE.fullmatch(lines[at])
        if opening is None:
            offset += len(lines[at]) + 1
            at += 1
            continue
        end = _closing(lines, at + 1, opening)
        inside = lines[at + 1 : end]
        if end == len(lines) and inside and not inside[-1]:
            inside.pop()  # the text's last line end
        code = "".join(f"{line.removeprefix(opening[1])}\n" for line in inside)
        found.append(FencedBlock(opening[3].strip(), code, offset, closed=end < len(lines)))
        offset += sum(len(line) + 1 for line in lines[at : end + 1])
        at = end + 1
    return found


def _closing(lines: list[str], start: int, opening: re.Match[str]) -> int:
    """The line that closes a block; len(lines) when none does."""
    depth = 1
    for at in range(start, len(lines)):
        fence = _FENCE.fullmatch(lines[at])
        if fence is None or not fence[2].startswith(opening[2]) or len(fence[1]) > len(opening[1]) + _FARTHER_IN:
            continue
        depth += 1 if fence[3] else -1
        if depth == 0:
            return at
    return len(lines)
