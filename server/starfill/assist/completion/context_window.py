"""Which text around the cursor goes into the prompt: two windows, cut by tokens, that move rarely.

A window that moves by a line with each line of the cursor would change the start of every prompt, and the model would
compute all of it again. So the prefix window keeps its start until it no longer fits; then it is cut to FILL of its
budget and grows again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starfill.text.document import Document

CHARS_PER_TOKEN = 6  # no window of code needs more characters than this a token; bounds what is ever encoded
FILL = 0.6  # of the prefix budget, after a cut
LEAST = 1 / 3  # of the prefix budget; a kept start that leaves less context than this is given up
HEAD = 256  # characters by which the start of a window is recognised

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of the document. text: as it stands there. ids: its tokens. whole: it reaches the document's edge."""

    text: str
    ids: tuple[int, ...]
    whole: bool


def model_text(text: str) -> str:
    """Text as models know it: lines end with a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def cut_suffix(document: Document, start: int, tokens: int, encode: Encode) -> Window:
    """The text from `start` on, at most `tokens` tokens, ended at a line end where that leaves enough."""
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
    """The text up to `end`, at most `tokens` tokens: from `kept_start` where that still serves, else cut afresh."""
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
    """Where the previous prefix window starts now: at its old place, or wherever its first characters stand.

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
    """The next line start from `wanted` on; `wanted` itself where the line is so long that half would be lost."""
    line = document.line_of(wanted)
    start = document.line_start(line)
    if start < wanted:
        start = document.line_start(line + 1) if line + 1 < document.line_count else end
    return start if start - wanted <= (end - wanted) // 2 else wanted


def _line_end_before(text: str, length: int) -> int:
    """The end of the last line that ends within `length`; `length` itself where half would be lost."""
    line_end = max(text.rfind("\n", 0, length), text.rfind("\r", 0, length)) + 1
    return line_end if line_end > length // 2 else length


def _ids(text: str, encode: Encode) -> tuple[int, ...]:
    return tuple(encode(model_text(text)))
