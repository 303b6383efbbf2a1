"""The stop condition of a completion, checked while its tokens arrive, so that no token is generated for nothing.

The rules know no language: they go by line ends, indentation, brackets and the text that already stands there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starfill.assist.completion.cursor_context import CursorContext, opens_block
from starfill.code.brackets import OPENER_OF, scan
from starfill.code.indentation import width

MAX_LINES = 12
LONGEST_REPEATED = 48  # characters of a piece of a line

_DEFINITION = re.compile(
    r"\s*(?:@\w|(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\(\w+\))?|"
    r"unsafe|inline|override)\s+)*"
    r"(?:def|class|function|func|fn|struct|enum|interface|trait|impl|module|namespace|type|template)"
    r"\s+[\w(<*])"
)
_DECORATION = re.compile(r"\s*(?:@|#|//|/\*|\*|--)")


@dataclass(frozen=True, slots=True)
class End:
    """The completion ends before character `at` of the generated text."""

    at: int
    reason: str


ONE_LINE = "the model had nothing to add on this line"
REPEATS_BELOW = "the model repeated the text that follows the cursor"
REPEATS_ITSELF = "the model repeated itself"
ONLY_SPACE = "the model wrote only white space here"
LEFT_BLOCK = "the model had nothing to add to this block"
NEXT_DEFINITION = "the model went on to the next definition"
BLOCK_CLOSED = "the block was closed"
LONG_ENOUGH = "the suggestion is long enough"


def end_of(text: str, place: CursorContext, final: bool = False) -> End | None:
    """The end of a generated text; None while it may go on. final: no more text will come."""
    lines = text.split("\n")
    base = (width(place.block_indent) if place.before.strip() else width(place.before)) if place.before else None
    at = 0  # where the line starts in the text
    for number, line in enumerate(lines):
        complete = final or number < len(lines) - 1
        here = place.before + line if number == 0 else line
        started = bool(line.strip()) or (number == 0 and bool(place.before.strip()))
        cut = max(at - 1, 0)  # before the line end in front of this line
        if number and (reason := _ends_before(lines, number, base, complete, text[:at], place)):
            return End(cut, reason)
        if complete and line.strip() and not place.rest.strip() and _same_line(here, place.next_line):
            return End(cut, REPEATS_BELOW)
        if complete and (reason := _ends_after(line, number, text[: at + len(line)], place)):
            return End(at + len(line), reason)
        if started and (base is None or (number == 0 and not place.before.strip())):
            base = width(here)
        at += len(line) + 1
    return None


class Stopper:
    """Is fed the text of one candidate as it arrives, and says when it has ended."""

    def __init__(self, place: CursorContext) -> None:
        self._place = place
        self._text = ""

    def feed(self, piece: str) -> bool:
        """True if the text so far has an end, so that nothing more is needed."""
        self._text += piece
        if not piece:
            return False
        if "\ufffd" in piece or any(leak in self._text for leak in self._place.leaks):
            return True
        if _repeats(self._text):
            return True
        if "\n" in piece and without_loops(self._text, self._place.before) != self._text:
            return True
        return "\n" in self._text and end_of(self._text, self._place) is not None


def _same_line(line: str, other: str | None) -> bool:
    return other is not None and line.strip() == other.strip() and width(line) == width(other)


def _ends_before(
    lines: list[str], number: int, base: int | None, complete: bool, text: str, place: CursorContext
) -> str | None:
    """Why the text must end before line `number`; `text` is everything before that line."""
    line = lines[number]
    begun = bool(text.strip()) or bool(place.before.strip() and not opens_block(place.before))
    if number >= MAX_LINES:
        return LONG_ENOUGH
    if place.rest.strip():
        return ONE_LINE
    if not line.strip():
        return ONLY_SPACE if complete and begun else None
    if base is not None and _leaves_block(line, base, text, place):
        return LEFT_BLOCK
    if base is not None and width(line) <= base and complete and _DEFINITION.match(line):
        written = [each for each in (place.before + lines[0], *lines[1:number]) if each.strip()]
        if any(not _DECORATION.match(each) for each in written):
            return NEXT_DEFINITION
    return None


def _leaves_block(line: str, base: int, text: str, place: CursorContext) -> bool:
    """Whether a line is indented less than the block allows. A closer of a bracket that the text opened may be."""
    closes = line.lstrip()[0] in OPENER_OF and bool(scan(place.before + text).open)
    inside = opens_block(place.before) and not closes
    return width(line) <= base if inside else width(line) < base


def _ends_after(line: str, number: int, text: str, place: CursorContext) -> str | None:
    """Why the text must end with line `number`, complete now; `text` goes up to its end."""
    if not place.multi_line and line.strip():
        return ONE_LINE
    if place.open_before and len(scan(place.before + text).open) < len(place.open_before):
        return BLOCK_CLOSED
    return None


def without_loops(text: str, before: str = "") -> str:
    """The text before it repeats itself: a line three times, several lines twice, or a piece of the last line.

    Repeated lines are kept once. A line that repeats itself is dropped: where it should have ended is unknown.

    before: what stands on the line to the left of the text.
    """
    lines = (before + text).split("\n")
    for size, times in ((1, 3), (2, 2), (3, 2), (4, 2)):
        for start in range(len(lines) - size * times + 1):
            block = lines[start : start + size]
            if lines[start : start + size * times] == block * times and all(map(_has_word, block)):
                return "\n".join(lines[: start + size])[len(before) :]
    return text.rpartition("\n")[0] if _repeats(text) else text


def _repeats(text: str) -> bool:
    """Whether the last line ends in a piece that is repeated."""
    line = text[text.rfind("\n") + 1 :]
    for size in range(1, min(LONGEST_REPEATED, len(line) // 4) + 1):
        times = 24 if size == 1 else 5 if size < 8 else 4
        if line[-1] != line[-1 - size]:
            continue  # no in nearly all cases, at hardly any cost
        tail = line[-size * times :]
        if len(tail) < size * times or tail[size:] != tail[:-size]:
            continue
        piece = tail[:size]
        if piece.isalnum() if size == 1 else len(set(piece)) > 1 and any(map(str.isalpha, piece)):
            return True
    return False


def _has_word(line: str) -> bool:
    return re.search(r"[^\W\d_]{2}", line) is not None
