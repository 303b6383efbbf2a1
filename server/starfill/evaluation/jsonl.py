"""Files with one JSON object a line: read with line numbers for messages, and written so that a run
can be continued.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from starfill.errors import RequestError

Record = dict[str, Any]


def read(path: Path) -> Iterator[tuple[str, Record]]:
    """The objects of a .jsonl or .jsonl.gz file, each with its place "FILE:LINE". Blank lines are skipped.

    Raises RequestError naming the file, or the line that is no JSON object.
    """
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}:{number}", _record(line, f"{path}:{number}")
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not UTF-8: convert it to UTF-8 first") from None
    except EOFError:
        raise RequestError(f"{path} is cut off: download it again") from None
    except OSError as error:
        raise RequestError(f"{path} can't be read: {error.strerror or error}") from None


def _opened(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")


def _record(line: str | bytes, place: str) -> Record:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RequestError(f"{place} is not a JSON object: write one object a line, like {{...}}")
    return found


def text_of(record: Record, name: str, place: str) -> str:
    """A field that must be there and be text."""
    value = record.get(name)
    if not isinstance(value, str):
        raise RequestError(f'{place}: "{name}" {"must be text" if name in record else "is missing"}')
    return value


class Output:
    """A .jsonl file that is written record by record, continuing what an earlier run has written.

    done: the records in the file; an incomplete last line is dropped. Raises RequestError naming what can't be read or
    written.
    """

    def __init__(self, path: Path) -> None:
        self.done: list[Record] = []
        try:
            self._file = path.open("ab+")
        except OSError as error:
            raise RequestError(f"{path} can't be written: {error.strerror}") from None
        try:
            self._file.truncate(self._read(path))
        except BaseException:
            self._file.close()
            raise

    def _read(self, path: Path) -> int:
        """Fill `done`. Returns the size in bytes of the complete lines."""
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break
            if line.strip():
                self.done.append(_record(line, f"{path}:{number}"))
            whole += len(line)
        return whole

    def write(self, record: Record) -> None:
        self._file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self._file.flush()

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
