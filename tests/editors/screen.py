"""An editor on a terminal screen (tmux), and a server that leaves behind what it says."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from editors.found import needed

STARFILL = Path(sys.executable).parent / "starfill"
PATIENCE = 300  # seconds; what works comes long before, also on a machine that does much else


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
    return value


def saved(file: Path) -> str:
    """What stands in a file; "" in the moment in which an editor puts a new one in its place."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def private(folder: Path) -> dict[str, str]:
    """An environment in which nobody's settings take part."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "TMUX"))}
    return kept | {"HOME": str(folder), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}


class Server:
    """`command` starts Starfill; `said` is every message that it has sent since."""

    def __init__(self, folder: Path) -> None:
        self._said = folder / "said"
        self.command = folder / "starfill"
        self.command.write_text(f'#!/bin/sh\n{shlex.quote(str(STARFILL))} "$@" | tee {shlex.quote(str(self._said))}\n')
        self.command.chmod(0o755)

    @property
    def said(self) -> list[dict[str, Any]]:
        messages, rest = [], self._said.read_bytes() if self._said.exists() else b""
        while b"\r\n\r\n" in rest:
            header, rest = rest.split(b"\r\n\r\n", 1)
            length = next(int(line[15:]) for line in header.split(b"\r\n") if line.startswith(b"Content-Length:"))
            if len(rest) < length:
                break
            messages.append(json.loads(rest[:length]))
            rest = rest[length:]
        return messages

    @property
    def ready(self) -> bool:
        return any(it.get("method") == "starfill/status" and it["params"]["state"] == "ready" for it in self.said)

    @property
    def completions(self) -> list[dict[str, Any]]:
        """The items of the answers to `textDocument/completion` that had one."""
        answers = [it["result"] for it in self.said if isinstance(it.get("result"), dict)]
        return [item for answer in answers for item in answer.get("items", ())]

    @property
    def edits(self) -> list[dict[str, Any]]:
        """The edits of code that it has sent, as answers or as requests."""
        bodies = [it.get("result") or it.get("params") for it in self.said]
        changes = [body["edit"] for body in bodies if isinstance(body, dict) and body.get("edit")]
        versioned = [document["edits"] for change in changes for document in change.get("documentChanges", ())]
        plain = [edits for change in changes for edits in change.get("changes", {}).values()]
        return [edit for edits in versioned + plain for edit in edits]


def edited(text: str, edit: dict[str, Any]) -> str:
    """With an edit applied, which begins and ends in lines of ASCII."""
    lines = text.splitlines(keepends=True)
    start, end = (
        sum(map(len, lines[: at["line"]])) + at["character"] for at in (edit["range"]["start"], edit["range"]["end"])
    )
    return text[:start] + edit["newText"] + text[end:]


class Screen:
    def __init__(self, tmux: list[str], calls: dict[str, Any]) -> None:
        self._tmux, self._calls = tmux, calls

    def keys(self, *names: str) -> None:
        """As tmux calls them: Escape, Tab, C-n; other texts are typed. None ends with a semicolon."""
        subprocess.run([*self._tmux, "send-keys", *names], check=True, **self._calls)

    def type(self, text: str) -> None:
        subprocess.run([*self._tmux, "send-keys", "-l", text], check=True, **self._calls)

    @property
    def text(self) -> str:
        """What is to be seen; nothing once the program has ended."""
        return self._asked("capture-pane", "-p")

    @property
    def cursor(self) -> int:
        """The column that it stands in, counted from 0."""
        return int(self._asked("display-message", "-p", "#{cursor_x}"))

    def until(self, text: str) -> str:
        """Wait for a text, and return what is to be seen."""
        try:
            return str(until(lambda: text in (seen := self.text) and seen, text))
        except AssertionError as error:
            raise AssertionError(f"{error}; on the screen:\n{self.text}") from None

    def _asked(self, *command: str) -> str:
        return subprocess.run([*self._tmux, *command], capture_output=True, encoding="utf-8", **self._calls).stdout


@contextmanager
def screen(folder: Path, *command: str | Path) -> Iterator[Screen]:
    """Run a program on a screen of its own, in a folder that is its home too."""
    tmux = [str(needed("tmux")), "-u", "-S", "./tmux", "-f", "/dev/null"]  # a relative path, since it must be short
    calls = {"cwd": folder, "env": private(folder) | {"COLORTERM": "truecolor"}}
    try:
        subprocess.run([*tmux, "new-session", "-d", "-x", "100", "-y", "30", *map(str, command)], check=True, **calls)
        yield Screen(tmux, calls)
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True, **calls)
