"""Text files without any conversion: read, replaced in one step, and a change as a patch."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path
from tempfile import NamedTemporaryFile

from starfill.errors import RequestError

BOM = "\ufeff".encode()


def read(path: Path) -> str:
    """The file's text with its own line ends. Raises RequestError if it isn't UTF-8 text."""
    return _text(path, _bytes(path))


def patch(path: Path, old: str, new: str) -> bytes:
    """The change of a file as a unified diff for `patch -p1` and `git apply`, with its path relative to the present
    folder.

    old, new: in the form that `read` returns. The file is read once more, for its byte order mark.
    """
    with suppress(ValueError):
        path = path.absolute().relative_to(Path.cwd())
    name = path.as_posix().lstrip("/")
    name += "\t" if " " in name else ""  # without a tab the name would end at the space
    mark = "\ufeff" if _bytes(path).startswith(BOM) else ""
    lines = unified_diff(_lines(mark + old), _lines(mark + new), f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    ).encode()


def write(path: Path, old: str, new: str) -> None:
    """Replace a file's text in one step. Its byte order mark and mode are kept.

    Raises RequestError if the file doesn't contain `old` any more, or can't be written.
    """
    path = path.resolve()  # a link stays a link
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
