"""The difference of two texts as edits of whole lines, so that cursors, folds and breakpoints elsewhere stay in
place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from starfill.text.position import Edit

MOST = 250_000  # pairs of equal lines to look at; if there are more, lines that occur very often don't count as equal

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_ENDS = ("\n", "\r")
_LINE_END = re.compile(r"\r\n|\r|\n")


def lines_of(text: str) -> list[str]:
    """The lines with their line ends; as in the protocol only LF, CRLF and CR end one."""
    return _LINE.findall(text)


def line_edits(old: str, new: str, at: int = 0) -> tuple[Edit, ...]:
    """The edits that turn `old`, which stands at offset `at`, into `new`: disjoint, ascending, none touching another.

    Each replaces whole lines with whole lines. Only if both texts end without a line end, an edit that reaches the end
    takes the line end before its lines instead of the one after.
    """
    if old == new:
        return ()
    end = ""
    if not old.endswith(_ENDS) and not new.endswith(_ENDS):
        found = _LINE_END.search(old) or _LINE_END.search(new)
        end = found[0] if found else "\n"
    before, after = lines_of(old + end), lines_of(new + end)
    starts = [at]
    for line in before:
        starts.append(starts[-1] + len(line))
    edits = [Edit(starts[a], starts[b], "".join(after[c:d])) for a, b, c, d in differences(before, after)]
    if end and edits[-1].end == starts[-1]:
        last = _without_last_end(edits.pop(), at + len(old), end)
        # only a blank line was between them, and its end is that of the last one
        if edits and edits[-1].end == last.start:
            first = edits.pop()
            last = Edit(first.start, last.end, first.text + last.text)
        edits.append(last)
    return tuple(edits)


def _without_last_end(edit: Edit, length: int, end: str) -> Edit:
    """An edit that reaches the end of two texts to which `end` was added, as an edit of the texts without it."""
    if edit.text and edit.start <= length:
        return Edit(edit.start, length, edit.text[: -len(end)])
    return Edit(edit.start - len(end), length, (end + edit.text)[: -len(end)])


def differences(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """(a, b, c, d): before[a:b] became after[c:d]. Ascending, with something equal between any two."""
    head, tail = 0, 0
    shorter = min(len(before), len(after))
    while head < shorter and before[head] == after[head]:
        head += 1
    while tail < shorter - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    counts = Counter(new)
    pairs = sum(count * counts[line] for line, count in Counter(old).items())
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=pairs > MOST).get_opcodes():
        if kind != "equal":
            yield head + a, head + b, head + c, head + d
