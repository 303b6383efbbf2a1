"""Open documents: immutable, exact about line ends, and cheap to edit.

A `Document` is its own snapshot: an edit returns a new one, which shares all untouched pieces with the old one. As in
the protocol only LF, CRLF and CR end a line; form feed, U+0085, U+2028 and the like are ordinary characters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain

from starfill.text.pieces import MIN, Chunk, belong_together, cut
from starfill.text.position import Edit, Encoding, Position, Range, characters, units

Change = tuple[Range | None, str]
"""One content change: the range to replace (None: the whole document) and the new text."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One version of a document. Offsets count code points; lines and offsets begin at 0.

    Costs are independent of the document's size, apart from a sum over its pieces (4,000 characters each at most),
    unless a method says otherwise. chunks: the pieces.
    """

    uri: str
    language_id: str
    version: int
    chunks: tuple[Chunk, ...] = field(repr=False)
    _starts: tuple[int, ...] = field(repr=False)  # characters before each piece, and in all
    _breaks: tuple[int, ...] = field(repr=False)  # line ends before each piece, and in all

    @classmethod
    def open(cls, uri: str, language_id: str, version: int, text: str) -> Document:
        return cls._of(uri, language_id, version, cut(text))

    @classmethod
    def _of(cls, uri: str, language_id: str, version: int, chunks: tuple[Chunk, ...]) -> Document:
        starts = tuple(accumulate([len(chunk.text) for chunk in chunks], initial=0))
        breaks = tuple(accumulate([len(chunk.breaks) for chunk in chunks], initial=0))
        return cls(uri, language_id, version, chunks, starts, breaks)

    @classmethod
    def joined(cls, uri: str, language_id: str, version: int, documents: Iterable[Document]) -> Document:
        """The texts of documents, one after the other. As with an edit, the costs don't depend on their sizes."""
        chunks: list[Chunk] = []
        for chunk in chain.from_iterable(document.chunks for document in documents):
            if chunks and belong_together(chunks[-1].text, chunk.text):
                chunks[-1:] = cut(chunks[-1].text + chunk.text)
            elif chunk.text:
                chunks.append(chunk)
        return cls._of(uri, language_id, version, tuple(chunks) or cut(""))

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def text(self) -> str:
        """The whole text. Costs O(document)."""
        return "".join(chunk.text for chunk in self.chunks)

    def slice(self, start: int, end: int) -> str:
        """Code points `start` up to `end`. Offsets outside the document are clamped."""
        start, end = max(start, 0), min(end, len(self))
        if start >= end:
            return ""
        first, last = self._chunk_at(start), self._chunk_at(end - 1)
        parts = [chunk.text for chunk in self.chunks[first : last + 1]]
        parts[-1] = parts[-1][: end - self._starts[last]]
        parts[0] = parts[0][start - self._starts[first] :]
        return "".join(parts)

    @property
    def line_count(self) -> int:
        """At least 1: a document that ends with a line end has an empty last line."""
        return self._breaks[-1] + 1

    @property
    def eol(self) -> str:
        """The most frequent line end; LF if there is none, or for a draw."""
        crlf = sum(chunk.crlf for chunk in self.chunks)
        cr = sum(chunk.cr for chunk in self.chunks)
        lf = self._breaks[-1] - crlf - cr
        return max(("\n", lf), ("\r\n", crlf), ("\r", cr), key=lambda pair: pair[1])[0]

    def line_start(self, line: int) -> int:
        """The offset of a line's first character. Raises IndexError if there is no such line."""
        if not 0 <= line < self.line_count:
            raise IndexError(f"line {line} of a document of {self.line_count} lines")
        if line == 0:
            return 0
        index = bisect_right(self._breaks, line - 1) - 1
        return self._starts[index] + self.chunks[index].breaks[line - 1 - self._breaks[index]]

    def line_end(self, line: int) -> int:
        """The offset after a line's last character, before its line end. Raises IndexError if there is no such line."""
        if line == self.line_count - 1:
            return len(self)
        end = self.line_start(line + 1)
        return end - (2 if self.slice(end - 2, end) == "\r\n" else 1)

    def line_of(self, offset: int) -> int:
        """The line of an offset (0 before the document, the last one after it)."""
        index = self._chunk_at(offset)
        return self._breaks[index] + bisect_right(self.chunks[index].breaks, offset - self._starts[index])

    def line_text(self, line: int) -> str:
        """A line without its line end. Raises IndexError if there is no such line."""
        return self.slice(self.line_start(line), self.line_end(line))

    def offset_at(self, position: Position, encoding: Encoding) -> int:
        """The offset of a position, clamped as the protocol says: to the line's end, or to the document's.

        A position inside a character is the offset before it.
        """
        if position.line < 0:
            return 0
        if position.line >= self.line_count:
            return len(self)
        start, end = self.line_start(position.line), self.line_end(position.line)
        end = min(end, start + max(position.character, 0))
        return start + characters(self.slice(start, end), position.character, encoding)

    def position_at(self, offset: int, encoding: Encoding) -> Position:
        """The position of an offset, clamped to the document. Between CR and LF it is the end of the line."""
        line = self.line_of(offset)
        start = self.line_start(line)
        return Position(line, units(self.slice(start, min(offset, self.line_end(line))), encoding))

    def edited(self, changes: Sequence[Change], version: int, encoding: Encoding) -> Document:
        """The document after the changes of one `didChange`. Each change refers to the document after the change before
        it.
        """
        document = self
        for where, text in changes:
            if where is None:
                document = Document.open(self.uri, self.language_id, version, text)
            else:
                ends = document.offset_at(where.start, encoding), document.offset_at(where.end, encoding)
                document = document.replaced(min(ends), max(ends), text, version)
        return Document(self.uri, self.language_id, version, document.chunks, document._starts, document._breaks)

    def replaced(self, start: int, end: int, text: str, version: int | None = None) -> Document:
        """The document with `text` in the place of code points `start` up to `end`; with the same version unless one is
        given.

        0 <= start <= end <= len(self).
        """
        chunks, starts = self.chunks, self._starts
        first, last = self._chunk_at(start), self._chunk_at(end)
        text = chunks[first].text[: start - starts[first]] + text + chunks[last].text[end - starts[last] :]
        if len(text) < MIN and last + 1 < len(chunks):
            last += 1
            text += chunks[last].text
        if first > 0 and (len(text) < MIN or belong_together(chunks[first - 1].text, text)):
            first -= 1
            text = chunks[first].text + text
        if last + 1 < len(chunks) and belong_together(text, chunks[last + 1].text):
            last += 1
            text += chunks[last].text
        version = self.version if version is None else version
        return Document._of(self.uri, self.language_id, version, chunks[:first] + cut(text) + chunks[last + 1 :])

    def _chunk_at(self, offset: int) -> int:
        """The number of the piece that holds a character; of the last piece for the document's end."""
        return min(max(bisect_right(self._starts, offset) - 1, 0), len(self.chunks) - 1)


def applied(document: Document, edits: Sequence[Edit]) -> Document:
    """The document after edits (ascending, disjoint), with the same version."""
    for edit in reversed(edits):
        document = document.replaced(edit.start, edit.end, edit.text)
    return document
