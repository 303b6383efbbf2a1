"""What of a file a user would have selected: the function around an edit if it is short, else a few statements."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from instructions.source import Edit, Source, apply

MAX_CHARS = 700  # of a selection


@dataclass(frozen=True)
class Crop:
    """Characters start..end of a file, whole lines without the last newline."""

    start: int
    end: int


def whole_lines(source: Source, first: ast.stmt, last: ast.stmt) -> Crop | None:
    """The lines of the statements; None if something else stands on them, or if the first is an `elif`."""
    start, end = source.start(first), source.end(last)
    line_end = source.text.find("\n", end)
    line_end = len(source.text) if line_end < 0 else line_end
    line_start = source.text.rfind("\n", 0, start) + 1
    rest = source.text[end:line_end].strip()
    if source.is_elif(first) or source.text[line_start:start].strip() or (rest and not rest.startswith("#")):
        return None
    return Crop(line_start, line_end)


def dedented(text: str) -> str | None:
    """The text without its first line's indentation; None if a line has less."""
    lines = text.split("\n")
    pad = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    if any(line.strip() and not line.startswith(pad) for line in lines):
        return None
    return "\n".join(line[len(pad) :].rstrip() for line in lines)


class Cropper:
    """Finds selections in one file."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.bodies = [(source.start(b[0]), source.end(b[-1]), b) for b in source.bodies]

    def around(self, edit: Edit, wide: bool) -> Crop | None:
        """The innermost statements around an edit, or (`wide`) the short function that holds them, if there is one."""
        inside = [body for start, end, body in self.bodies if start <= edit.start and edit.end <= end]
        functions: list[Crop] = []
        for body in inside:
            for s in body:
                if isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found = self.fitting(s, s, edit)
                    functions += [found] if found else []
        if wide and functions:
            return functions[0]
        for body in reversed(inside):
            touched = [
                s
                for s in body
                if self.source.start(s) < max(edit.end, edit.start + 1) and edit.start < self.source.end(s)
            ]
            if touched and (found := self.fitting(touched[0], touched[-1], edit)):
                return found
        return functions[0] if functions else None

    def fitting(self, first: ast.stmt, last: ast.stmt, edit: Edit) -> Crop | None:
        crop = whole_lines(self.source, first, last)
        if crop and crop.start <= edit.start and edit.end <= crop.end and crop.end - crop.start <= MAX_CHARS:
            return crop
        return None

    def sides(self, crop: Crop, edits: Iterable[Edit]) -> tuple[str, str] | None:
        """The selection as it stands and with the edits that lie in it made, both without indentation."""
        text = self.source.text[crop.start : crop.end]
        inside = [e for e in edits if crop.start <= e.start and e.end <= crop.end]
        moved = [Edit(e.start - crop.start, e.end - crop.start, e.text) for e in inside]
        before, after = dedented(text), dedented(apply(text, moved))
        return (before, after) if before and after and before != after else None
