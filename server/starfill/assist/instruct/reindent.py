"""Converts the indentation of a model's lines to the document's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from starfill.assist.completion.cursor_context import opens_block
from starfill.code.indentation import indent_of, unit_of, with_spaces, with_tabs


def reindented(lines: list[str], shown: Sequence[str], around: Sequence[str]) -> list[str]:
    """Indent with tabs or spaces, and with as many of them, as the lines that the model was shown; if those don't tell,
    as the lines around.

    Lines that the model was shown stay as they are. The number of spaces changes only if the model was consistent.
    """
    wanted = unit_of(shown) or unit_of(around)
    if wanted is None:
        return lines
    known = {line for line in shown if indent_of(line)}
    tabs = wanted == "\t"
    foreign = {line for line in lines if line.startswith(" " if tabs else "\t")} - known
    if tabs:
        step = len(unit_of(foreign) or "x")
        return [with_tabs(line, step) if line in foreign else line for line in lines]
    if foreign:
        return [with_spaces(line, wanted) if line in foreign else line for line in lines]
    return _in_steps(lines, known, _step(shown) or _step(around))


def _in_steps(lines: list[str], known: Collection[str], wanted: int | None) -> list[str]:
    step = _step(lines)
    if wanted is None or step is None or step == wanted or any(line in known for line in lines):
        return lines
    widths = [len(indent_of(line)) for line in lines]
    if any(width % step for width in widths):
        return lines
    return [" " * (width // step * wanted) + line.lstrip(" ") for width, line in zip(widths, lines, strict=True)]


def _step(lines: Iterable[str]) -> int | None:
    """The usual number of spaces between a block and the line that opens it."""
    steps = Counter(
        len(indent_of(inner)) - len(indent_of(outer))
        for outer, inner in pairwise(line for line in lines if line.strip())
        if opens_block(outer)
    )
    return next((step for step, _ in steps.most_common() if step > 0), None)
