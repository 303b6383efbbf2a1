"""Somebody who types for a minute, ten characters a second, and looks at nothing."""

from __future__ import annotations

import threading
import time

from editors.screen import PATIENCE
from editors.vscode.record import resident
from editors.vscode.window import Window

SECONDS, PER_SECOND = 60, 10
FILE = "typed.py"
SETTINGS = {  # without VS Code's own additions to what is typed
    "editor.autoClosingBrackets": "never",
    "editor.autoClosingQuotes": "never",
    "editor.autoIndent": "none",
}
CODE = '''\
def count_words(lines):
    """How often each word occurs."""
    counts = {}
    for line in lines:
        for word in line.split():
            counts[word] = counts.get(word, 0) + 1
    return counts


class Table:
    def __init__(self, columns):
        self.columns = columns
        self.rows = []

    def append(self, *values):
        if len(values) != len(self.columns):
            raise ValueError(f"{len(values)} values for {len(self.columns)} columns")
        self.rows.append(values)

    def column(self, name):
        index = self.columns.index(name)
        return [row[index] for row in self.rows]
'''


class Typist:
    """Begins at once. What is to be in the file at the end is `typed`."""

    def __init__(self, window: Window) -> None:
        self.window = window
        window.ready()
        window.edit(FILE)
        self.typed = (CODE * 2)[: SECONDS * PER_SECOND]
        self.memory: list[tuple[int, int]] = []  # bytes of the server and of the extensions, each second
        record = window.record()
        processes = record.pid, record.client_pid
        self._typing = window.browser.begin(window.name, "typeAt", self.typed, PER_SECOND)
        threading.Thread(target=self._watch, args=processes, daemon=True).start()

    def finish(self) -> int:
        """How many keys VS Code hadn't taken yet when the last was struck."""
        behind: int = self._typing.result(PATIENCE)
        return behind

    def _watch(self, server: int, extensions: int) -> None:
        while not self._typing.done():
            self.memory.append((resident(server), resident(extensions)))
            time.sleep(1)
