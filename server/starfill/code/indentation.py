"""One level of indentation: which it is, and how to write it otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

TAB_WIDTH = 4  # columns; only to compare indentations


def indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def width(line: str) -> int:
    """Columns of a line's indentation."""
    return len(indent_of(line).expandtabs(TAB_WIDTH))


def unit_of(lines: Iterable[str]) -> str | None:
    """One level in these lines; None where none of them is indented, by one space at most."""
    indents = [indent for line in lines if line.strip() and (indent := indent_of(line)) not in ("", " ")]
    if not indents:
        return None
    if 2 * sum(indent.startswith("\t") for indent in indents) > len(indents):
        return "\t"
    widths = sorted({0, *(len(indent) for indent in indents if "\t" not in indent)})
    return " " * min((wide - narrow for narrow, wide in pairwise(widths) if wide - narrow > 1), default=TAB_WIDTH)


def with_tabs(line: str, step: int) -> str:
    """Each `step` columns of a line's indentation as a tab; what is left over stays."""
    indent = indent_of(line).replace("\t", " " * step)
    return "\t" * (len(indent) // step) + " " * (len(indent) % step) + line.lstrip(" \t")


def with_spaces(line: str, unit: str) -> str:
    """Each tab of a line's indentation as `unit`."""
    return indent_of(line).replace("\t", unit) + line.lstrip(" \t")
