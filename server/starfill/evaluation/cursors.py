"""Random places in source files where the rest of a line is completed, and the text that is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random

from starfill.code.languages import SUFFIXES
from starfill.errors import RequestError
from starfill.evaluation.jsonl import read, text_of

LARGEST = 1 << 20  # bytes; larger files are data or generated
TRIES = 3000  # failed tries in a row, after which there are no more places


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file under the path that a model is shown."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a line. before: the text up to it. line: the rest of its line, never blank. after: the text from its
    end on.
    """

    path: str
    before: str
    line: str
    after: str

    @property
    def place(self) -> str:
        """path:line:column, from 1."""
        return f"{self.path}:{self.before.count(chr(10)) + 1}:{len(self.before) - self.before.rfind(chr(10))}"


def read_sources(data: Path) -> list[SourceFile]:
    """All source files below a folder, or the lines {"path", "text"} of a .jsonl file.

    Raises RequestError if nothing is found, or a line is wrong.
    """
    found = list(_from_folder(data) if data.is_dir() else _from_lines(data))
    if not any(source.text.strip() for source in found):
        raise RequestError(f"{data} has no source files in it: Starfill looks for {', '.join(sorted(SUFFIXES))}")
    return found


def _from_folder(folder: Path) -> Iterator[SourceFile]:
    for path in sorted(folder.rglob("*")):
        if path.suffix not in SUFFIXES or not path.is_file() or path.stat().st_size > LARGEST:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):  # there are enough other files
            continue
        yield SourceFile(path.relative_to(folder).as_posix(), text)


def _from_lines(file: Path) -> Iterator[SourceFile]:
    for place, record in read(file):
        text = text_of(record, "text" if "text" in record else "content", place)
        yield SourceFile(text_of(record, "path", place), text.replace("\r\n", "\n").replace("\r", "\n"))


def random_cursors(sources: Sequence[SourceFile], count: int, seed: int) -> list[Cursor]:
    """Different places: a file and a line by their lengths, then a column from the line's first character to its last.

    Fewer than `count` if the files have no more.
    """
    rng = Random(seed)
    ends = list(accumulate(len(source.text) for source in sources))
    found: dict[tuple[str, int], Cursor] = {}
    tries = 0
    while len(found) < count and tries < TRIES and ends[-1]:
        tries += 1
        source = rng.choices(sources, cum_weights=ends)[0]
        text = source.text
        at = rng.randrange(len(text))
        start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        end = len(text) if end < 0 else end
        first = start + len(text[start:end]) - len(text[start:end].lstrip())
        if first < end:
            at = rng.randrange(first, end)
            if text[at:end].strip() and (source.path, at) not in found:
                tries = 0
                found[source.path, at] = Cursor(source.path, text[:at], text[at:end], text[end:])
    return list(found.values())
