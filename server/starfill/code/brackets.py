"""Which brackets and quotes are open at a place: a tolerant scanner that knows no language.

It is good enough for languages like C, Python and shell: quotes end at the end of their line (triple quotes and
backquotes don't), a backslash escapes, an apostrophe inside a word doesn't count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

OPENER_OF = {")": "(", "]": "[", "}": "{"}
CLOSER_OF = {opener: closer for closer, opener in OPENER_OF.items()}
QUOTES = "\"'`"
CLOSERS = ")]}" + QUOTES
STRING_PREFIXES = frozenset({"f", "r", "b", "u", "rb", "br", "fr", "rf", "t", "L", "R", "u8"})

_MARK = re.compile(r"\\.|\"\"\"|'''|[\"'`(){}\[\]\n]", re.DOTALL)
_WORD_BEFORE = re.compile(r"\w+$")


@dataclass(frozen=True, slots=True)
class Closing:
    """A closer in a text whose opener stood before the text. fits: there was such an opener."""

    start: int
    text: str
    fits: bool

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Scan:
    """open: what is open after the text, outermost first. closing: the closers of brackets that were opened before the
    text.
    """

    open: tuple[str, ...]
    closing: tuple[Closing, ...]


def scan(text: str, before: tuple[str, ...] = ()) -> Scan:
    """Read a text at whose start the openers `before` are open."""
    stack, floor = list(before), len(before)
    closing: list[Closing] = []
    for match in _MARK.finditer(text):
        mark, at = match.group(), match.start()
        quote = next((each for each in reversed(stack) if each[0] in QUOTES), None)
        if mark == "\n":
            if quote in ('"', "'"):
                del stack[_last(stack, quote) :]
        elif mark[0] in QUOTES:
            if quote is None:
                if not _is_apostrophe(text, at):
                    stack.append(mark)
                continue
            if quote[0] != mark[0] or len(quote) > len(mark):
                continue
            depth = _last(stack, quote)
            del stack[depth:]
            if depth < floor:
                closing.append(Closing(at, quote, fits=True))
        elif mark in CLOSER_OF:
            stack.append(mark)
        elif mark in OPENER_OF:
            opener = OPENER_OF[mark]
            inside = stack[_last(stack, quote) + 1 :] if quote else stack
            if opener in inside:
                depth = _last(stack, opener)
                del stack[depth:]
                if depth < floor:
                    closing.append(Closing(at, mark, fits=True))
            elif quote is None:
                closing.append(Closing(at, mark, fits=False))
        floor = min(floor, len(stack))
    return Scan(tuple(stack), tuple(closing))


def auto_closed(left: str, right: str) -> str:
    """The closers at the start of `right` that close what is open at the end of `left` (both on the cursor's line).

    Editors insert them together with the opener. `postprocess` deals with them; they aren't part of the suffix.
    """
    stack, end = list(scan(left).open), 0
    while stack and end < len(right):
        opener = stack.pop()
        closer = CLOSER_OF.get(opener, opener)
        if not right.startswith(closer, end):
            break
        end += len(closer)
    return right[:end]


def _last(stack: list[str], mark: str) -> int:
    return len(stack) - 1 - stack[::-1].index(mark)


def _is_apostrophe(text: str, at: int) -> bool:
    if text[at] != "'":
        return False
    word = _WORD_BEFORE.search(text, max(0, at - 24), at)
    return word is not None and word.group() not in STRING_PREFIXES
