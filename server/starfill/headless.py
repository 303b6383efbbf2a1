"""Files on a command line: a place in one as a document, a change as a patch or written back."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path
from tempfile import NamedTemporaryFile

from starfill.errors import RequestError
from starfill.text.document import Document
from starfill.text.position import Span

LANGUAGES = {
    ".bash": "shellscript", ".c": "c", ".cc": "cpp", ".cjs": "javascript", ".cpp": "cpp", ".cs": "csharp",
    ".cxx": "cpp", ".go": "go", ".h": "c", ".hpp": "cpp", ".java": "java", ".js": "javascript",
    ".jsx": "javascriptreact", ".lua": "lua", ".mjs": "javascript", ".php": "php", ".py": "python", ".pyi": "python",
    ".rb": "ruby", ".rs": "rust", ".sh": "shellscript", ".ts": "typescript", ".tsx": "typescriptreact",
}  # fmt: skip
BOM = "\ufeff".encode()


def locate(place: str) -> tuple[Document, int]:
    """The file of FILE:LINE:COL, and the offset of the place. LINE and COL count from 1, COL in characters.

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
    """The file of FILE:FROM-TO, and these lines; or of FILE:LINE, and an empty span on that line. Counted from 1.

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


def read(path: Path) -> str:
    """The file's text with its line ends as they are. Raises RequestError when it is no UTF-8 text file."""
    return _text(path, _bytes(path))


def patch(path: Path, old: str, new: str) -> bytes:
    """The change of a file as a unified diff that `patch -p1` and `git apply` take, by its path from here.

    old, new: as `read` gives them. The file is read once more, for its byte order mark.
    """
    with suppress(ValueError):
        path = path.absolute().relative_to(Path.cwd())
    name = path.as_posix().lstrip("/")
    name += "\t" if " " in name else ""  # or it would end there
    mark = "\ufeff" if _bytes(path).startswith(BOM) else ""
    lines = unified_diff(_lines(mark + old), _lines(mark + new), f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    ).encode()


def write(path: Path, old: str, new: str) -> None:
    """Replace a file's text in one step, its byte order mark and mode kept.

    Raises RequestError where it does not hold `old` any more, or can't be written.
    """
    path = path.resolve()  # a link stays one
    data = _bytes(path)
    if _text(path, data) != old:
        raise RequestError(f"{path} has changed meanwhile, so nothing is written: run it again")
    mark = BOM if data.startswith(BOM) else b""
    temporary = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(mark + new.encode())
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, temporary)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise RequestError(f"{path} can't be written: {error.strerror}") from None


def _opened(path: Path) -> Document:
    return Document.open(path.absolute().as_uri(), LANGUAGES.get(path.suffix, "plaintext"), 0, read(path))


def _check_line(document: Document, place: str, line: int, name: str) -> None:
    if line > document.line_count:
        raise RequestError(f"{place}: the file has {document.line_count} lines, {name} must not be larger")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path} can't be read: {error.strerror}") from None


def _text(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not UTF-8 (byte {error.start} is wrong): convert it to UTF-8 first") from None


def _lines(text: str) -> list[str]:
    """Lines as `patch` counts them: only a line feed ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
