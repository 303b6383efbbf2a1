"""FILE:LINE:COL on a command line, as a document and a place in it."""

from __future__ import annotations

from pathlib import Path

from starfill.errors import RequestError
from starfill.text.document import Document

LANGUAGES = {
    ".c": "c", ".cpp": "cpp", ".cs": "csharp", ".go": "go", ".java": "java", ".js": "javascript", ".lua": "lua",
    ".php": "php", ".py": "python", ".rb": "ruby", ".rs": "rust", ".sh": "shellscript", ".ts": "typescript",
}  # fmt: skip


def locate(place: str) -> tuple[Document, int]:
    """The file as a document, and the offset of the place in it. LINE and COL count from 1, COL in characters.

    Raises RequestError naming what is wrong with the place or the file.
    """
    name, line, column = _parts(place)
    path = Path(name)
    document = Document.open(path.absolute().as_uri(), LANGUAGES.get(path.suffix, "plaintext"), 0, read(path))
    if line > document.line_count:
        raise RequestError(f"{place}: {path} has {document.line_count} lines, LINE must not be larger")
    start, end = document.line_start(line - 1), document.line_end(line - 1)
    if column > end - start + 1:
        raise RequestError(f"{place}: line {line} has {end - start} characters, COL must be at most {end - start + 1}")
    return document, start + column - 1


def read(path: Path) -> str:
    """The file's text with its line ends as they are. Raises RequestError when it is no UTF-8 text file."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RequestError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not UTF-8 (byte {error.start} is wrong): convert it to UTF-8 first") from None


def _parts(place: str) -> tuple[str, int, int]:
    name, line, column = ([*place.rsplit(":", 2), "", ""])[:3]
    if not name or not line.isdecimal() or not column.isdecimal() or not int(line) or not int(column):
        raise RequestError(f"{place} is not FILE:LINE:COL, with line and column counted from 1")
    return name, int(line), int(column)
