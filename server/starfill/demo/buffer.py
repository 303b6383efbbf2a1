"""What is edited: a file, which is written only on demand, or the sample, which is never written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.widgets.text_area import Document

from starfill.code.languages import language_id_of
from starfill.demo.sample import CURSOR, SAMPLE
from starfill.errors import RequestError
from starfill.util.text_files import read, write


@dataclass
class Buffer:
    """path: None for the sample. text: as it is on disk. cursor: where to begin, line and column from 0."""

    uri: str
    language: str
    text: str
    path: Path | None = None
    cursor: tuple[int, int] = (0, 0)

    @classmethod
    def sample(cls) -> Buffer:
        before, _, after = SAMPLE.partition(CURSOR)
        line = before.count("\n")
        return cls("untitled:sample.py", "python", before + after, cursor=(line, len(before.split("\n")[-1])))

    @classmethod
    def file(cls, path: Path) -> Buffer:
        """Raises RequestError if it is no text file that the editor would write back unchanged."""
        text = read(path)
        if Document(text).text != text:
            raise RequestError(f"{path} has unusual or mixed line ends, which this editor would change: open another")
        return cls(path.absolute().as_uri(), language_id_of(path), text, path)

    @property
    def name(self) -> str:
        return self.path.name if self.path else "sample.py (a sample, saved nowhere)"

    @property
    def newline(self) -> str:
        return Document(self.text).newline

    def is_changed(self, text: str) -> bool:
        """Whether there is something to save."""
        return self.path is not None and text != self.text

    def save(self, text: str) -> None:
        """Raises RequestError, with the reason, if it can't be saved."""
        if self.path is None:
            raise RequestError("this is only a sample: `starfill demo FILE` opens a file of yours")
        write(self.path, self.text, text)
        self.text = text
