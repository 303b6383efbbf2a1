"""Somebody who types in a document, as the changes and the cursor that an editor would report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

CLOSER = {"(": ")", "[": "]", "{": "}"}

CHARACTER = 0.15  # seconds between two keys of somebody who types fast
GLANCE = 0.4  # to find a place, or a mistake
READ = 1.0  # to read a suggestion

REST = 10  # characters of a line that are left to be typed after a jump, at least, where it has as many


class Place(NamedTuple):
    """Zero-based, as in the protocol. The texts here are ASCII, so all encodings count alike."""

    line: int
    character: int


START = Place(0, 0)


class Change(NamedTuple):
    """Put `text` in the place of what stands from `start` up to `end`."""

    start: Place
    end: Place
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens in an editor.

    kind: what it is, for the tables. document: its number. cursor: where a completion is asked for after the change;
    None where nothing is asked. pause: seconds that a person takes before.
    """

    kind: str
    document: int
    change: Change | None
    cursor: Place | None
    pause: float = 0.0


@dataclass(slots=True)
class Typist:
    """The methods change `lines`, one document, and yield what an editor sends.

    What is deleted in order to be typed again is all there when `finish` has been called.
    """

    document: int
    lines: list[str]
    cursor: Place = START
    rest: str = ""  # of the cursor's line, not typed yet
    closers: list[str] = field(default_factory=list)  # that the editor put behind the cursor, the outermost first

    def come_back(self, kind: str) -> Event:
        """To this document, from another one or after it was opened."""
        return Event(kind, self.document, None, self.cursor, GLANCE)

    def jump(self, kind: str, line: int, also: bool = False) -> Event:
        """To a line, which is cut off, shortly before a bracket if it has one.

        also: the next line goes too, to be typed after Enter.
        """
        text = self.lines[line]
        start = len(text) - len(text.lstrip()) + 3
        bracket = next((i for i in range(start, len(text)) if text[i] in CLOSER), start)
        self.cursor = Place(line, max(start, min(bracket - 3, len(text) - REST)))
        self.rest = text[self.cursor.character :]
        end = Place(line + 1, len(self.lines[line + 1])) if also else Place(line, len(text))
        return self._edit(kind, self.cursor, end, "", self.cursor, GLANCE)

    def type(self, characters: int, first: str = "") -> Iterator[Event]:
        """The next characters of the line. first: what kind the first of them is called, if not what it is."""
        for number in range(min(characters, len(self.rest))):
            character, self.rest = self.rest[0], self.rest[1:]
            yield self._key(character, first if number == 0 else "")

    def mistype(self) -> Iterator[Event]:
        """A wrong character, and backspace."""
        here = self.cursor
        after = Place(here.line, here.character + 1)
        yield self._edit("character", here, here, "x", after, CHARACTER)
        yield self._edit("backspace", here, after, "", here, GLANCE)

    def insert(self, line: int, new: Sequence[str]) -> Event:
        """Whole lines before a line, somewhere; the cursor is back at once, and nothing is asked."""
        text = "".join(f"{each}\n" for each in new)
        event = self._edit("edit", Place(line, 0), Place(line, 0), text, None, GLANCE)
        if line <= self.cursor.line:
            self.cursor = Place(self.cursor.line + len(new), self.cursor.character)
        return event

    def accept_and_undo(self) -> Iterator[Event]:
        """Accept the rest of the line as if it had been suggested; then take it back.

        Whoever replays this may accept something else, as long as undoing takes that back.
        """
        here, behind = self.cursor, "".join(reversed(self.closers))
        end = Place(here.line, here.character + len(behind))
        accepted = Place(here.line, here.character + len(self.rest))
        yield self._edit("accept", here, end, self.rest, accepted, READ)
        yield self._edit("undo", here, accepted, behind, here, GLANCE)

    def finish(self) -> Event:
        """The rest of the line, all at once; nothing is asked."""
        end = Place(self.cursor.line, len(self.lines[self.cursor.line]))
        text, self.rest, self.closers = self.rest, "", []
        start, self.cursor = self.cursor, Place(self.cursor.line, self.cursor.character + len(text))
        return self._edit("finish", start, end, text, None, CHARACTER)

    def enter(self, next_line: str) -> Event:
        """At the end of a line, for one whose text is `next_line`: the editor indents it."""
        self.rest = next_line.lstrip()
        indent = next_line[: len(next_line) - len(self.rest)]
        start, self.cursor = self.cursor, Place(self.cursor.line + 1, len(indent))
        return self._edit("enter", start, start, "\n" + indent, self.cursor, CHARACTER)

    def _key(self, character: str, kind: str) -> Event:
        here = self.cursor
        self.cursor = Place(here.line, here.character + 1)
        if self.closers and character == self.closers[-1]:  # the cursor only steps over it
            self.closers.pop()
            return Event(kind or "character", self.document, None, self.cursor, CHARACTER)
        if character in CLOSER:
            self.closers.append(CLOSER[character])
            return self._edit(kind or "bracket", here, here, character + CLOSER[character], self.cursor, CHARACTER)
        return self._edit(kind or "character", here, here, character, self.cursor, CHARACTER)

    def _edit(self, kind: str, start: Place, end: Place, text: str, cursor: Place | None, pause: float) -> Event:
        change = Change(start, end, text)
        self.lines = applied(self.lines, change)
        return Event(kind, self.document, change, cursor, pause)


def applied(lines: list[str], change: Change) -> list[str]:
    start, end, text = change
    middle = lines[start.line][: start.character] + text + lines[end.line][end.character :]
    return [*lines[: start.line], *middle.split("\n"), *lines[end.line + 1 :]]


def text_between(lines: list[str], start: Place, end: Place) -> str:
    if start.line == end.line:
        return lines[start.line][start.character : end.character]
    between = lines[start.line + 1 : end.line]
    return "\n".join([lines[start.line][start.character :], *between, lines[end.line][: end.character]])


def inverse(lines: list[str], change: Change) -> Change:
    """What takes a change of `lines` back."""
    return Change(change.start, end_of(change), text_between(lines, change.start, change.end))


def end_of(change: Change) -> Place:
    """Where the new text ends."""
    before, _, last = change.text.rpartition("\n")
    if "\n" not in change.text:
        return Place(change.start.line, change.start.character + len(last))
    return Place(change.start.line + before.count("\n") + 1, len(last))
