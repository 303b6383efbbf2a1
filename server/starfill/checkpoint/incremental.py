"""Encodes a text again after an edit: only the part that changed is encoded, and the ids are those of the whole text.

A text is cut where that is exact (see `boundaries`), so its ids are those of its pieces. The pieces that it shares, at
its beginning and at its end, with a text that was encoded before are reused.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from starfill.util.common_prefix import common_prefix

KEPT = 8  # texts: the windows of the last few documents
SHORT = 256  # characters; a shorter text is encoded whole
EDGE = 32  # characters at an end of the text that must agree before more is compared


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A text with its ids. cuts: where its pieces begin, and its length. starts: where their ids begin, and the number
    of ids.
    """

    text: str
    ids: list[int]
    cuts: list[int]
    starts: list[int]


@dataclass(frozen=True, slots=True)
class Shared:
    """The numbers of characters that two texts have in common at their beginning and at their end."""

    head: int
    tail: int


class Incremental:
    """boundary: the pattern at which cutting is exact. encode: the ids of a piece."""

    def __init__(self, boundary: re.Pattern[str], encode: Callable[[str], Sequence[int]]) -> None:
        self._boundary, self._encode = boundary, encode
        self._recent: deque[Encoded] = deque(maxlen=KEPT)
        self._lock = Lock()  # prompts for completions and for actions are built on different threads

    def encode(self, text: str) -> list[int]:
        if len(text) <= SHORT:
            return self._whole(text).ids
        with self._lock:
            alike = ((old, shared(old.text, text)) for old in self._recent if _same_edge(old.text, text))
            old, most = max(alike, key=lambda pair: pair[1].head + pair[1].tail, default=(None, Shared(0, 0)))
            if old is None or most.head + most.tail < len(text) // 2:
                new = self._whole(text)
            else:
                new = self._changed(old, text, most)
                self._recent.remove(old)
            self._recent.append(new)
        return list(new.ids)

    def _whole(self, text: str) -> Encoded:
        ids: list[int] = []
        cuts, starts = [0], [0]
        for piece in self._boundary.split(text):
            ids += self._encode(piece)
            cuts.append(cuts[-1] + len(piece))
            starts.append(len(ids))
        return Encoded(text, ids, cuts, starts)

    def _changed(self, old: Encoded, text: str, same: Shared) -> Encoded:
        """Keeps the cuts around which the texts agree as far as a pattern looks: one character
        back, one piece ahead.
        """
        first = max(bisect_right(old.cuts, same.head) - 2, 0)
        last = max(bisect_left(old.cuts, len(old.text) - same.tail + 1), first)
        ending = old.cuts[last] if last < len(old.cuts) else len(old.text)  # nothing is kept of the text's end
        longer = len(text) - len(old.text)
        middle = self._whole(text[old.cuts[first] : ending + longer])
        begin, end = old.starts[first], old.starts[last] if last < len(old.starts) else len(old.ids)
        more = begin + len(middle.ids) - end
        return Encoded(
            text,
            old.ids[:begin] + middle.ids + old.ids[end:],
            old.cuts[:first]
            + [cut + old.cuts[first] for cut in middle.cuts]
            + [c + longer for c in old.cuts[last + 1 :]],
            old.starts[:first]
            + [start + begin for start in middle.starts]
            + [s + more for s in old.starts[last + 1 :]],
        )


def shared(one: str, other: str) -> Shared:
    head = common_prefix(one, other)
    return Shared(head, min(common_prefix(one[::-1], other[::-1]), len(one) - head, len(other) - head))


def _same_edge(one: str, other: str) -> bool:
    return one[:EDGE] == other[:EDGE] or one[-EDGE:] == other[-EDGE:]
