"""Replayed typing without end, through the real server over stdio: what a day in an editor does to its memory.

    python tests/soak/typist.py --minutes 60

Types, deletes, jumps, accepts, undoes, edits elsewhere, cancels, switches between documents, closes and opens them; the
same sequence for the same seed. Prints the memory of the server now and then, and exits with 1 if it has grown.
"""

from __future__ import annotations

import argparse
import inspect
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent.parent))
from lsp.client import Client
from lsp.params import replace

COMMAND = [sys.executable, "-m", "starfill", "serve", "--stdio"]
OPTIONS = {"cacheBytes": 6 << 20, "maxNewTokens": 16, "contextTokens": 256}  # a budget that is soon full
ALLOWED = 8_000_000  # bytes that memory may grow by
DOCUMENTS = 40  # names that are opened and closed
OPEN = 10  # at once
LINES = 300  # of a document, about


class Typist:
    """Acts on a server, one act after the other."""

    def __init__(self, client: Client, seed: int) -> None:
        self._client, self._rng = client, random.Random(seed)
        self._source = inspect.getsource(inspect).split("\n")
        self._texts: dict[str, list[str]] = {}  # open documents, as the server has them
        self._uri = ""
        self._line = 0
        self._suggestion = ""
        self._undo: list[list[str]] = []

    def act(self) -> None:
        acts: list[tuple[Callable[[], None], int]] = [
            (self._type, 60),
            (self._accept, 10),
            (self._delete, 8),
            (self._enter, 8),
            (self._jump, 5),
            (self._take_back, 3),
            (self._edit_elsewhere, 3),
            (self._hurry, 3),
            (self._switch, 3),
            (self._close, 1),
        ]
        if not self._texts:
            self._switch()
        self._rng.choices([act for act, _ in acts], [weight for _, weight in acts])[0]()

    def _type(self) -> None:
        """A character of a line of code at the end of the cursor's line."""
        line = self._rng.choice(self._source)
        self._insert(line[len(self._current) : len(self._current) + 1] or self._rng.choice("ab(_. "))
        self._ask()

    def _enter(self) -> None:
        self._replace((self._line, len(self._current)), (self._line, len(self._current)), ["", ""])
        self._line += 1
        self._ask()

    def _delete(self) -> None:
        length = len(self._current)
        self._replace((self._line, max(0, length - self._rng.randrange(1, 8))), (self._line, length), [""])
        self._ask()

    def _accept(self) -> None:
        if self._suggestion:
            self._insert(self._suggestion.split("\n")[0])
            self._ask()

    def _jump(self) -> None:
        self._line = self._rng.randrange(len(self._texts[self._uri]))
        self._ask()

    def _take_back(self) -> None:
        """What the last edits have changed: as one change of the whole document."""
        if self._undo:
            text = self._undo[0]
            self._texts[self._uri] = list(text)
            self._line = min(self._line, len(text) - 1)
            self._client.change(self._uri, {"text": "\n".join(text)})
            self._undo.clear()
            self._ask()

    def _edit_elsewhere(self) -> None:
        """Lines that come or go above the cursor, the document's length kept about what it is."""
        at = self._rng.randrange(self._line + 1)
        if len(self._texts[self._uri]) > LINES and at + 3 < self._line:
            self._replace((at, 0), (at + 3, 0), [""])
            self._line -= 3
        else:
            self._replace((at, 0), (at, 0), [*self._rng.choices(self._source, k=3), ""])
            self._line += 3
        self._ask()

    def _hurry(self) -> None:
        """Requests that are overtaken and cancelled."""
        asked = []
        for character in "self."[: self._rng.randrange(1, 6)]:
            self._insert(character)
            asked.append(self._client.ask_inline(self._uri, self._line, len(self._current)))
        self._client.notify("$/cancelRequest", {"id": asked[0]})
        for identifier in asked[1:]:
            self._client.answer(identifier)
        self._ask()

    def _switch(self) -> None:
        number = self._rng.randrange(DOCUMENTS)
        self._uri = f"file:///work/soak_{number}.py"
        if self._uri not in self._texts:
            if len(self._texts) == OPEN:
                self._forget(next(iter(self._texts)))
            start = self._rng.randrange(len(self._source) - LINES)
            self._texts[self._uri] = self._source[start : start + LINES]
            self._client.open(self._uri, "\n".join(self._texts[self._uri]))
        self._undo.clear()
        self._jump()

    def _close(self) -> None:
        self._forget(self._uri)
        self._switch()

    def _forget(self, uri: str) -> None:
        del self._texts[uri]
        self._client.close(uri)

    @property
    def _current(self) -> str:
        return self._texts[self._uri][self._line]

    def _insert(self, text: str) -> None:
        end = (self._line, len(self._current))
        self._replace(end, end, [text])

    def _replace(self, start: tuple[int, int], end: tuple[int, int], new: list[str]) -> None:
        lines = self._texts[self._uri]
        self._undo = [*self._undo[-20:], list(lines)]
        before, after = lines[start[0]][: start[1]], lines[end[0]][end[1] :]
        lines[start[0] : end[0] + 1] = ("\n".join([before + new[0], *new[1:]]) + after).split("\n")
        self._client.change(self._uri, replace(start, end, "\n".join(new)))

    def _ask(self) -> None:
        items = self._client.inline(self._uri, self._line, len(self._current))
        self._suggestion = items[0]["insertText"] if items else ""
        # The client's own books, which grow otherwise.
        self._client.notifications.clear()


def memory_of(process: int) -> int:
    """The anonymous memory of a process in bytes, swapped out or not."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return 1024 * sum(int(found) for found in re.findall(r"^(?:RssAnon|VmSwap):\s*(\d+) kB$", status, re.MULTILINE))


def soak(seed: int = 0) -> Iterator[int]:
    """Acts without end; the bytes of memory that the server holds after each."""
    with Client.start(COMMAND, options=OPTIONS) as client:
        client.wait_for_state("ready", 60)
        assert client.process is not None
        typist = Typist(client, seed)
        while True:
            typist.act()
            yield memory_of(client.process.pid)


def growth(memory: Sequence[int]) -> float:
    """By how many bytes memory has grown from the second quarter to the last: the first is there to warm up."""
    quarter = len(memory) // 4
    return median(memory[-quarter:]) - median(memory[quarter : 2 * quarter])


def main() -> None:
    parser = argparse.ArgumentParser(description="Type for a while and print the memory of the server.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    memory: list[int] = []
    began, shown = time.monotonic(), 0.0
    for nbytes in soak(arguments.seed):
        memory.append(nbytes)
        minutes = (time.monotonic() - began) / 60
        if minutes >= shown:
            print(f"{minutes:6.1f} min  {len(memory):>8} acts  {nbytes / 1e6:8.1f} MB", flush=True)
            shown += arguments.minutes / 60
        if minutes >= arguments.minutes:
            break
    print(f"From the second quarter to the last: {growth(memory) / 1e6:+.1f} MB")
    sys.exit(growth(memory) > ALLOWED)


if __name__ == "__main__":
    main()
