"""One level of indentation: finding it, and converting it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

TAB_WIDTH = 4  # columns; only for comparing indentations


def indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def width(line: str) -> int:
    """The columns of a line's indentation."""
    return len(indent_of(line).expandtabs(TAB_WIDTH))


def unit_of(lines: Iterable[str]) -> str | None:
    """One level of indentation in these lines; None if none is indented by more than one space."""
    indents = [indent for line in lines if line.strip() and (indent := indent_of(line)) not in ("", " ")]
    if not indents:
        return None
    if 2 * sum(indent.startswith("\t") for indent in indents) > len(indents):
        return "\t"
    widths = sorted({0, *(len(indent) for indent in indents if "\t" not in indent)})
    return " " * min((wide - narrow for narrow, wide in pairwise(widths) if wide - narrow > 1), default=TAB_WIDTH)


def with_tabs(line: str, step: int) -> str:
    """A line with a tab for each `step` columns of its indentation; the rest stays spaces."""
    indent = indent_of(line).replace("\t", " " * step)
    return "\t" * (len(indent) // step) + " " * (len(indent) % step) + line.lstrip(" \t")


def with_spaces(line: str, unit: str) -> str:
    """A line with `unit` for each tab of its indentation."""
    return indent_of(line).replace("\t", unit) + line.lstrip(" \t")
