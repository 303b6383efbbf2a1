"""The text around a cursor, in the form that the rules of `stopping` and `postprocess` need."""

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
    """Where a completion will stand. Its texts have "\n" as line ends; eol is the document's line end.

    before, after: the cursor's line to the left, and to the right, where `closers` (auto-closed brackets) come first.
    above, below: the lines around it, the nearest ones first.
    multi_line: whether the completion may have several lines.
    leaks: sentinel texts that the text around the cursor doesn't contain, so the completion mustn't either.
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
        """The text after the cursor on its line, without the auto-closed brackets."""
        return self.after[len(self.closers) :]

    @cached_property
    def block_indent(self) -> str:
        """The indentation of the statement on the cursor's line; of the first line of a statement that spans
        several.
        """
        text = first = self.before
        for line in self.above[:STATEMENT]:
            if not any(closing.text in OPENER_OF for closing in scan(text).closing):
                break
            text, first = f"{line}\n{text}", line
        return indent_of(first)

    @cached_property
    def open_before(self) -> tuple[str, ...]:
        """Brackets and quotes that were opened before the cursor on its line, and not closed."""
        return scan(self.before).open

    @cached_property
    def open_around(self) -> tuple[str, ...]:
        """Brackets and quotes open at the cursor, also those opened in the lines above."""
        return scan(self.before, open_after(self.above)).open

    @cached_property
    def next_line(self) -> str | None:
        return next((line for line in self.below if line.strip()), None)

    @cached_property
    def previous_line(self) -> str | None:
        return next((line for line in self.above if line.strip()), None)


@lru_cache(maxsize=16)  # the lines above stay the same while a line is typed
def open_after(above: tuple[str, ...]) -> tuple[str, ...]:
    """Brackets and quotes open after these lines, the nearest line first."""
    return scan("".join(f"{line}\n" for line in reversed(above))).open


def cursor_context_at(
    document: Document, offset: int, closers: str = "", mode: str = "auto", leaks: Iterable[str] = ()
) -> CursorContext:
    """The context of a cursor at `offset` (characters). closers: see `fim_prompt.Prompt`. mode: the setting
    `multi_line`.
    """
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
    """Whether to suggest several lines: on a blank line and after what opens a block, unless text follows on the
    line.
    """
    if mode != "auto":
        return mode == "always"
    if rest.strip():
        return False
    return not before.strip() or opens_block(before)


def opens_block(before: str) -> bool:
    """Whether a line that is no comment ends in something that opens a block or a list."""
    return _OPENS_BLOCK.search(before) is not None and _COMMENT.match(before) is None
