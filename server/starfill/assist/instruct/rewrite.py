"""A target as the model sees it, and the model's code as it stands in the document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starfill.assist.instruct.reindent import in_unit
from starfill.code.brackets import scan
from starfill.code.indentation import indent_of
from starfill.text.diff import differences, lines_of
from starfill.text.document import Document
from starfill.text.position import Span

AROUND = 4_000  # characters to either side in which the document's unit of indentation is looked for

_AT_MARGIN = ("#", "//", "--")  # comments and preprocessor lines, which may stand at the margin of any block
_LONG_QUOTES = ('"""', "'''")
_BACKQUOTED = frozenset({"go", "javascript", "javascriptreact", "typescript", "typescriptreact"})
_TRAILING_SPACE_MATTERS = frozenset({"markdown", "mdx"})


def given(document: Document, span: Span) -> str:
    """The text of `span` as the model sees it: lines joined by "\\n", without the indentation that they share.

    Blank lines around it, and white space on blank lines, are left out. Lines that begin inside a string, and comments
    at the margin, don't count for what is shared.
    """
    return "\n".join(_Target.of(document, span).shown)


def fitted(code: str, document: Document, span: Span) -> str:
    """`code` as it would stand in the place of `span`, of which the model has seen `given`.

    A line that the model has left as it was is the target's own, to the last character. Others get the target's
    indentation and line ends and the document's tabs or spaces. Blank lines around and the last line end are its own.
    """
    target = _Target.of(document, span)
    lines = _plain_lines(code)
    if not lines or lines == list(target.shown):
        return target.text
    around = [line.rstrip("\r\n") for line in lines_of(document.slice(span.start - AROUND, span.end + AROUND))]
    lines = in_unit(_dedented(lines, target, document.language_id), target.shown, around)
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

    lines: from the first to the last that isn't blank. ends: their line ends; the last one's if more were to follow.
    margin: the indentation that they share. shown: the lines without it, as far as they have it.
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
    """Lines without line ends, blank ones empty, none of them at either end."""
    lines = [line if line.strip() else "" for line in code.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    full = [at for at, line in enumerate(lines) if line]
    return lines[full[0] : full[-1] + 1] if full else []


def _shared(lines: Iterable[str]) -> str:
    """The indentation that all of these have, but for blank ones."""
    indents = [indent_of(line) for line in lines if line.strip()]
    shared = min(indents, key=len, default="")
    while not all(indent.startswith(shared) for indent in indents):
        shared = shared[:-1]
    return shared


def _openers(lines: Sequence[str], language: str) -> list[int | None]:
    """For each line that begins inside a string of several lines, which line opened it."""
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
    """Without the indentation that the lines share: the model may have written the target's too.

    The first line may have lost what the others have. Of all readings the one counts that has the most of the target's
    lines.
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
    """With the target's margin; inside strings only where the target's strings and the opening line have it."""
    placed = []
    for line, opener in zip(lines, _openers(lines, language), strict=True):
        if opener is None:
            line = line if language in _TRAILING_SPACE_MATTERS else line.rstrip(" \t")
            placed.append(target.margin + line if line else line)
        else:
            outside = target.loose or len(indent_of(line)) < len(indent_of(lines[opener]))
            placed.append(line if outside or not line else target.margin + line)
    return placed
