"""The code that the model is given, and the code that it returns, fitted into the document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starfill.assist.instruct.reindent import reindented
from starfill.code.brackets import scan
from starfill.code.indentation import indent_of
from starfill.text.diff import differences, lines_of
from starfill.text.document import Document
from starfill.text.position import Span

AROUND = 4_000  # characters to either side that are searched for the document's unit of indentation

_AT_MARGIN = ("#", "//", "--")  # comments and preprocessor lines, which may be unindented in any block
_LONG_QUOTES = ('"""', "'''")
_BACKQUOTED = frozenset({"go", "javascript", "javascriptreact", "typescript", "typescriptreact"})
_TRAILING_SPACE_MATTERS = frozenset({"markdown", "mdx"})


def given(document: Document, span: Span) -> str:
    """The text of `span` as the model sees it: lines joined by "\n", without their common indentation.

    Blank lines around it, and white space on blank lines, are left out. Lines that begin inside a string, and comments
    without indentation, don't count for the common indentation.
    """
    return "\n".join(_Target.of(document, span).shown)


def fitted(code: str, document: Document, span: Span) -> str:
    """The model's `code`, for the text `given`, as it would stand in the place of `span`.

    A line that the model left unchanged is taken from the document, character by character. Other lines get the span's
    indentation and line ends, and the document's tabs or spaces. The span's blank lines around and its last line end
    are kept.
    """
    target = _Target.of(document, span)
    lines = _plain_lines(code)
    if not lines or lines == list(target.shown):
        return target.text
    around = [line.rstrip("\r\n") for line in lines_of(document.slice(span.start - AROUND, span.end + AROUND))]
    lines = reindented(_dedented(lines, target, document.language_id), target.shown, around)
    own = list(zip(target.lines, target.ends, strict=True))
    new = [(line, target.eol) for line in _placed(lines, target, document.language_id)]
    whole: list[tuple[str, str]] = []
    at = 0
    for first, last, start, end in differences(target.shown, lines):
        whole += own[at:first] + new[start:end]
        at = last
    whole += own[at:]
    return target.head + "".join(map("".join, whole[:-1])) + whole[-1][0] + target.tail


@dataclass(frozen=True, slots=True)
class _Target:
    """text: all of it. head, tail: what stands around its lines: blank lines, and the last line's end.

    lines: from the first to the last that isn't blank. ends: their line ends; for the last line, the one to use if more
        lines follow.
    margin: the common indentation. shown: the lines without it, as far as they have it.
    eol: the line end of new lines. loose: whether a string in it has lines without the margin.
    """

    text: str
    head: str
    lines: tuple[str, ...]
    ends: tuple[str, ...]
    tail: str
    margin: str
    shown: tuple[str, ...]
    eol: str
    loose: bool

    @classmethod
    def of(cls, document: Document, span: Span) -> _Target:
        text = document.slice(span.start, span.end)
        raw = lines_of(text)
        lines = [line.rstrip("\r\n") for line in raw]
        ends = [line[len(content) :] for line, content in zip(raw, lines, strict=True)]
        eol = next((end for end, _ in Counter(filter(None, ends)).most_common(1)), document.eol)
        full = [at for at, line in enumerate(lines) if line.strip()]
        if not full:
            margin = indent_of(text)
            return cls(text, "", (), (), text[len(margin) :], margin, (), eol, False)
        first, last = full[0], full[-1]
        head, tail = "".join(raw[:first]), ends[last] + "".join(raw[last + 1 :])
        lines, ends = lines[first : last + 1], [*ends[first:last], ends[last] or eol]
        openers = _openers(lines, document.language_id)
        margin = _shared(
            line
            for line, opener in zip(lines, openers, strict=True)
            if opener is None and not line.startswith(_AT_MARGIN)
        )
        shown = tuple(line.removeprefix(margin) if line.strip() else "" for line in lines)
        loose = any(
            opener is not None and line.strip() and not line.startswith(margin)
            for line, opener in zip(lines, openers, strict=True)
        )
        return cls(text, head, tuple(lines), tuple(ends), tail, margin, shown, eol, loose)


def _plain_lines(code: str) -> list[str]:
    """Lines without line ends. Blank ones are empty, and there are none at either end."""
    lines = [line if line.strip() else "" for line in code.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    full = [at for at, line in enumerate(lines) if line]
    return lines[full[0] : full[-1] + 1] if full else []


def _shared(lines: Iterable[str]) -> str:
    """The indentation that all lines but blank ones have in common."""
    indents = [indent_of(line) for line in lines if line.strip()]
    shared = min(indents, key=len, default="")
    while not all(indent.startswith(shared) for indent in indents):
        shared = shared[:-1]
    return shared


def _openers(lines: Sequence[str], language: str) -> list[int | None]:
    """For each line that begins inside a string of several lines, the number of the line that opened it."""
    quotes = (*_LONG_QUOTES, "`") if language in _BACKQUOTED else _LONG_QUOTES
    openers: list[int | None] = []
    quote, opener = None, None
    for at, line in enumerate(lines):
        openers.append(opener)
        after = next((mark for mark in scan(f"{line}\n", (quote,) if quote else ()).open if mark in quotes), None)
        opener = None if after is None else opener if after == quote else at
        quote = after
    return openers


def _dedented(lines: list[str], target: _Target, language: str) -> list[str]:
    """Without the lines' common indentation: the model may have written the span's indentation too.

    The first line may have lost what the others have. Of the possible readings, the one counts that contains the most
    lines of the span.
    """
    firsts = [""]
    if lines[0] == lines[0].lstrip():
        firsts += [target.margin, indent_of(target.shown[0]) if target.shown else ""]
    readings = []
    for first in firsts:
        reading = [first + lines[0], *lines[1:]]
        openers = _openers(reading, language)
        shared = _shared(line for line, opener in zip(reading, openers, strict=True) if opener is None)
        readings += [[line.removeprefix(shared) for line in reading], reading]
    known = set(target.shown) - {""}
    return max(readings, key=lambda reading: sum(line in known for line in reading))


def _placed(lines: list[str], target: _Target, language: str) -> list[str]:
    """With the span's margin. Inside strings, only if the span's strings and the opening line have it."""
    placed = []
    for line, opener in zip(lines, _openers(lines, language), strict=True):
        if opener is None:
            line = line if language in _TRAILING_SPACE_MATTERS else line.rstrip(" \t")
            placed.append(target.margin + line if line else line)
        else:
            outside = target.loose or len(indent_of(line)) < len(indent_of(lines[opener]))
            placed.append(line if outside or not line else target.margin + line)
    return placed
