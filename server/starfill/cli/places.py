"""Places on a command line: FILE:LINE:COL as a document and an offset, FILE:FROM-TO as a document and lines."""

from __future__ import annotations

import re
from pathlib import Path

from starfill.code.languages import language_id_of
from starfill.errors import RequestError
from starfill.text.document import Document
from starfill.text.position import Span
from starfill.util.text_files import read


def locate(place: str) -> tuple[Document, int]:
    """The file of FILE:LINE:COL, and the offset. LINE and COL count from 1, COL in characters.

    Raises RequestError naming what is wrong with the place or the file.
    """
    match = re.fullmatch(r"(.+):([1-9]\d*):([1-9]\d*)", place, re.ASCII | re.DOTALL)
    if match is None:
        raise RequestError(f"{place} is not FILE:LINE:COL, with line and column counted from 1")
    document = _opened(Path(match[1]))
    line, column = int(match[2]), int(match[3])
    _check_line(document, place, line, "LINE")
    start, end = document.line_start(line - 1), document.line_end(line - 1)
    if column > end - start + 1:
        raise RequestError(f"{place}: line {line} has {end - start} characters, COL must be at most {end - start + 1}")
    return document, start + column - 1


def locate_lines(place: str) -> tuple[Path, Document, Span]:
    """The file of FILE:FROM-TO and these lines, or the file of FILE:LINE and an empty span on that line. Counted from
    1.

    Raises RequestError naming what is wrong with the place or the file.
    """
    match = re.fullmatch(r"(.+):([1-9]\d*)(?:-([1-9]\d*))?", place, re.ASCII | re.DOTALL)
    if match is None:
        raise RequestError(f"{place} is not FILE:FROM-TO or FILE:LINE, with lines counted from 1")
    path = Path(match[1])
    document = _opened(path)
    first, last = int(match[2]), int(match[3] or match[2])
    _check_line(document, place, last, "TO" if match[3] else "LINE")
    if last < first:
        raise RequestError(f"{place}: TO must not be smaller than FROM")
    start, end = document.line_start(first - 1), document.line_end(last - 1)
    if match[3] is None:
        text = document.line_text(first - 1)
        start += len(text) - len(text.lstrip())
        return path, document, Span(start, start)
    if not document.slice(start, end).strip():
        raise RequestError(f"{place}: these lines are blank")
    return path, document, Span(start, end)


def _opened(path: Path) -> Document:
    return Document.open(path.absolute().as_uri(), language_id_of(path), 0, read(path))


def _check_line(document: Document, place: str, line: int, name: str) -> None:
    if line > document.line_count:
        raise RequestError(f"{place}: the file has {document.line_count} lines, {name} must not be larger")
