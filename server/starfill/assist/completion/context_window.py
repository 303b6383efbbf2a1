"""Which text around the cursor goes into the prompt: two windows, cut by tokens, that move rarely.

If a window moved by one line with each line of the cursor, every prompt would start differently, and the model would
have to compute all of it again. So the prefix window keeps its start until the text no longer fits. Then it is cut to
FILL of its budget, and grows again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starfill.text.document import Document

CHARS_PER_TOKEN = 6  # a limit on the text that is encoded: code has fewer characters than this in a token
FILL = 0.6  # the part of the prefix budget that a cut leaves
LEAST = 1 / 3  # of the prefix budget; a start that leaves less context than this is not kept
HEAD = 256  # characters by which the start of a window is recognised when it has moved

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of the document. text: as it stands there. ids: its tokens. whole: the window reaches the document's
    edge.
    """

    text: str
    ids: tuple[int, ...]
    whole: bool


def model_text(text: str) -> str:
    """Text as models know it: lines end with a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def cut_suffix(document: Document, start: int, tokens: int, encode: Encode) -> Window:
    """The text from `start` on, at most `tokens` tokens. It ends at a line end, unless that would leave too little."""
    text = document.slice(start, start + tokens * CHARS_PER_TOKEN)
    ids = _ids(text, encode)
    if start + len(text) == len(document) and len(ids) <= tokens:
        return Window(text, ids, whole=True)
    length = min(len(text), len(text) * tokens // max(len(ids), 1))
    while True:
        text = text[: _line_end_before(text, length)]
        ids = _ids(text, encode)
        if len(ids) <= tokens:
            return Window(text, ids, whole=False)
        length = length * 9 // 10


def cut_prefix(document: Document, end: int, tokens: int, encode: Encode, kept_start: int | None = None) -> Window:
    """The text up to `end`, at most `tokens` tokens. It starts at `kept_start` if that still fits, and is cut afresh if
    not.
    """
    for start in (0, kept_start):
        if start is None or not 0 <= end - start <= tokens * CHARS_PER_TOKEN:
            continue
        text = document.slice(start, end)
        ids = _ids(text, encode)
        if len(ids) <= tokens and (start == 0 or len(ids) >= tokens * LEAST):
            return Window(text, ids, whole=start == 0)
    text = document.slice(max(0, end - tokens * CHARS_PER_TOKEN), end)
    fitting = min(len(text), len(text) * tokens // max(len(_ids(text, encode)), 1))
    length = int(fitting * FILL)
    while True:
        start = _line_start_after(document, end - length, end)
        text = document.slice(start, end)
        ids = _ids(text, encode)
        if len(ids) <= tokens:
            return Window(text, ids, whole=start == 0)
        length = length * 3 // 4


def find_start(document: Document, previous: Window, previous_end: int, end: int, tokens: int) -> int | None:
    """The new start of the previous prefix window: its old offset, or wherever its first characters stand now.

    Lines inserted or removed far above move a window without changing it.
    """
    if previous.whole:
        return 0
    head = previous.text[:HEAD]
    start = previous_end - len(previous.text)
    if document.slice(start, start + len(head)) == head:
        return start
    region_start = max(0, end - tokens * CHARS_PER_TOKEN)
    found = document.slice(region_start, end).find(head)
    return region_start + found if head and found >= 0 else None


def _line_start_after(document: Document, wanted: int, end: int) -> int:
    """The start of the next line at or after `wanted`; `wanted` itself in a line so long that half of the text would be
    lost.
    """
    line = document.line_of(wanted)
    start = document.line_start(line)
    if start < wanted:
        start = document.line_start(line + 1) if line + 1 < document.line_count else end
    return start if start - wanted <= (end - wanted) // 2 else wanted


def _line_end_before(text: str, length: int) -> int:
    """The end of the last line that ends within `length`; `length` itself if half of the text would be lost."""
    line_end = max(text.rfind("\n", 0, length), text.rfind("\r", 0, length)) + 1
    return line_end if line_end > length // 2 else length


def _ids(text: str, encode: Encode) -> tuple[int, ...]:
    return tuple(encode(model_text(text)))
