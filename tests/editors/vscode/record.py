"""What went between VS Code and a language server that recorder.py has started."""

from __future__ import annotations

import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

from editors.screen import until

IDS = itertools.count()


def parent(pid: int) -> int:
    return int(_status(pid)["PPid"])


def resident(pid: int) -> int:
    """The memory that a process has now, in bytes."""
    return int(_status(pid)["VmRSS"].split()[0]) * 1024


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


class Record:
    """Of one server."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._entries: list[dict[str, Any]] = []
        self._read = 0  # bytes

    def entries(self) -> list[dict[str, Any]]:
        with self._file.open("rb") as file:
            file.seek(self._read)
            lines = file.read().split(b"\n")[:-1]  # what stands behind the last is being written
        self._read += sum(len(line) + 1 for line in lines)
        self._entries += map(json.loads, lines)
        return self._entries

    @property
    def pid(self) -> int:
        return int(self.entries()[0]["server"])

    @property
    def client_pid(self) -> int:
        """The process of VS Code's extensions."""
        return parent(int(self._file.stem))

    def sent(self, method: str) -> list[Any]:
        """The params of VS Code's requests and notifications of that method."""
        return self._of("client", method)

    def received(self, method: str) -> list[Any]:
        """The same, from the server."""
        return self._of("server", method)

    def _of(self, side: str, method: str) -> list[Any]:
        messages = [entry["message"] for entry in self.entries() if entry.get("from") == side]
        return [message.get("params") for message in messages if message.get("method") == method]

    def documents(self) -> set[str]:
        """The URIs of all that have been opened."""
        return {params["textDocument"]["uri"] for params in self.sent("textDocument/didOpen")}

    def folder(self) -> str | None:
        """The URI of the (first) folder that is open."""
        for initialize in self.sent("initialize"):
            return next((folder["uri"] for folder in initialize.get("workspaceFolders") or []), None)
        return None

    def ask(self, method: str, params: Any) -> Any:
        """A request of the test's own."""
        key = f"test-{next(IDS)}"
        message = {"jsonrpc": "2.0", "id": key, "method": method, "params": params}
        with self._file.with_suffix(".ask").open("w", encoding="utf-8") as fifo:
            fifo.write(json.dumps(message) + "\n")
        answer = until(lambda: self._answer(key), f"the answer to {method}")
        assert "error" not in answer, answer
        return answer["result"]

    def _answer(self, key: str) -> dict[str, Any] | None:
        messages = (entry.get("message", {}) for entry in self.entries())
        return next((message for message in messages if message.get("id") == key), None)

    def state(self) -> str:
        """The last that `starfill/status` said."""
        return next((status["state"] for status in reversed(self.received("starfill/status"))), "")

    def running(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, IndexError):
            return False
        return True

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class Records:
    """Of all servers whose recorders write into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, Record] = {}

    def all(self) -> list[Record]:
        """The oldest first; one that was ended before its server began has recorded nothing."""
        for file in self.folder.glob("*.jsonl"):
            self._known.setdefault(file, Record(file))
        begun = [(entries[0]["started"], record) for record in self._known.values() if (entries := record.entries())]
        return [record for _, record in sorted(begun, key=lambda each: each[0])]
