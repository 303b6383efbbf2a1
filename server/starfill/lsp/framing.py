"""The protocol's framing: headers, an empty line, a JSON body. Bytes in, bodies out; it knows no streams."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,10})[ \t]*\r?\n?\Z", re.IGNORECASE)
_HEADER = re.compile(rb"[A-Za-z-]+:[^\x00-\x08]*\Z")
_LONGEST_BODY = 2**30  # bytes; a larger number can only be a mistake
_LONGEST_LINE = 2**14  # bytes of a header line


class Framing:
    """Cuts a stream into bodies. After bytes that are no header it finds the beginning of the next message."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._length: int | None = None  # of the body whose headers are being read
        self._in_body = False
        self._astray = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The bodies that `data` completes; None once for each stretch of bytes that is no message."""
        self._data += data
        while True:
            if self._in_body:
                assert self._length is not None
                if len(self._data) < self._length:
                    return
                body = bytes(self._data[: self._length])
                del self._data[: self._length]
                self._in_body, self._length = False, None
                yield body
                continue
            end = self._data.find(b"\n") + 1
            if end == 0 and len(self._data) <= _LONGEST_LINE:
                return
            line = bytes(self._data[: end or _LONGEST_LINE])
            del self._data[: len(line)]
            if self._is_garbage(line) and not self._astray:
                self._astray = True
                yield None

    def _is_garbage(self, line: bytes) -> bool:
        """Read one line between bodies. Returns whether it is neither a header nor the empty line."""
        found = _LENGTH.search(line)
        if found and int(found[1]) <= _LONGEST_BODY:
            self._length = int(found[1])
            self._astray = False
            return found.start() > 0
        if not line.strip():
            self._in_body = self._length is not None
            return False
        return not _HEADER.match(line)
