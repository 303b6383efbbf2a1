"""The surroundings of a cursor as the rules of `stopping` and `postprocess` see them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from starfill.code.brackets import OPENER_OF, scan
from starfill.code.indentation import indent_of
from starfill.text.document import Document

REACH = 4000  # characters to either side
LINE_REACH = 2000  # characters of the cursor's line, to either side
STATEMENT = 20  # lines that one statement may span

_LINE_END = re.compile("\r\n|\n|\r")
_OPENS_BLOCK = re.compile(r"[:{(\[]\s*\Z|(?:=>|->|\bdo|\bthen|\bbegin)\s*\Z")
_COMMENT = re.compile(r"\s*(?:#|//|/\*|\* |-- )")


@dataclass(frozen=True)
class CursorContext:
    """Where a completion will stand. All text has "\\n" as line ends; eol is the document's.

    before, after: the cursor's line to the left, and to the right with the auto-closed `closers` at its start.
    above, below: the lines around it, the nearest ones first.
    multi_line: whether the completion may go on to further lines.
    leaks: sentinel texts that the surroundings don't contain, so that the completion mustn't either.
    from_start: `above` goes back to the document's start.
    """

    before: str
    after: str = ""
    closers: str = ""
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    eol: str = "\n"
    multi_line: bool = True
    leaks: tuple[str, ...] = ()
    from_start: bool = True

    @property
    def rest(self) -> str:
        """What stands after the auto-closed brackets on the line."""
        return self.after[len(self.closers) :]

    @cached_property
    def block_indent(self) -> str:
        """Indentation of the statement on the cursor's line, of its first line where brackets span several."""
        text = first = self.before
        for line in self.above[:STATEMENT]:
            if not any(closing.text in OPENER_OF for closing in scan(text).closing):
                break
            text, first = f"{line}\n{text}", line
        return indent_of(first)

    @cached_property
    def open_before(self) -> tuple[str, ...]:
        """Brackets and quotes open at the cursor, of those opened on its line."""
        return scan(self.before).open

    @cached_property
    def open_around(self) -> tuple[str, ...]:
        """The same, of those opened anywhere in the lines above too."""
        return scan(self.before, open_after(self.above)).open

    @cached_property
    def next_line(self) -> str | None:
        return next((line for line in self.below if line.strip()), None)

    @cached_property
    def previous_line(self) -> str | None:
        return next((line for line in self.above if line.strip()), None)


@lru_cache(maxsize=16)  # while a line is being typed, the ones above are the same
def open_after(above: tuple[str, ...]) -> tuple[str, ...]:
    """What is open after these lines, the nearest one first."""
    return scan("".join(f"{line}\n" for line in reversed(above))).open


def cursor_context_at(
    document: Document, offset: int, closers: str = "", mode: str = "auto", leaks: Iterable[str] = ()
) -> CursorContext:
    """The place at `offset` (characters). closers: see `fim_prompt.Prompt`. mode: the setting `multi_line`."""
    line = document.line_of(offset)
    start, end = document.line_start(line), document.line_end(line)
    before = document.slice(max(start, offset - LINE_REACH), offset)
    after = document.slice(offset, min(end, offset + LINE_REACH))
    above = document.slice(max(0, start - REACH), start)
    below = document.slice(end, end + REACH)
    return CursorContext(
        before=before,
        after=after,
        closers=closers,
        above=_lines(above)[-2::-1],
        below=_lines(below)[1:],
        eol=document.eol,
        multi_line=wants_lines(before, after[len(closers) :], mode),
        leaks=tuple(leak for leak in leaks if not any(leak in text for text in (above, before + after, below))),
        from_start=start <= REACH,
    )


@lru_cache(maxsize=16)  # as above
def _lines(text: str) -> tuple[str, ...]:
    return tuple(_LINE_END.split(text))


def wants_lines(before: str, rest: str, mode: str = "auto") -> bool:
    """Whether to offer several lines: on a blank line and after what opens a block, unless text follows on the line."""
    if mode != "auto":
        return mode == "always"
    if rest.strip():
        return False
    return not before.strip() or opens_block(before)


def opens_block(before: str) -> bool:
    """Whether a line ends in what begins a block or a list, and isn't a comment."""
    return _OPENS_BLOCK.search(before) is not None and _COMMENT.match(before) is None
