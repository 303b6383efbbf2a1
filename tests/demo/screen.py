"""The demo on a screen in memory, before a scripted server or the real one."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from textual.pilot import Pilot

from lsp.servers.scripted import COMMAND
from starfill.demo.app import Demo
from starfill.demo.buffer import Buffer

PATIENCE = 90  # seconds; generous, since other work may occupy the machine
URI = "untitled:a.py"
KEYS = {
    "\n": "enter", "\t": "tab", " ": "space", "(": "left_parenthesis", ")": "right_parenthesis", ".": "full_stop",
    ":": "colon", "=": "equals_sign", "'": "apostrophe", "#": "number_sign", "_": "underscore",
}  # fmt: skip
Location = tuple[int, int]


class Watched(Demo):
    """said: what the notifications since the last clearing have said."""

    NOTIFICATION_TIMEOUT = PATIENCE  # it is still there when a test looks

    def __init__(self, *args: Any) -> None:
        self.said: list[str] = []
        super().__init__(*args)

    def notify(self, message: str, **more: Any) -> None:
        self.said.append(message)
        super().notify(message, **more)

    def clear_notifications(self) -> None:
        self.said.clear()
        super().clear_notifications()


class Screen:
    def __init__(self, app: Watched, pilot: Pilot[None]) -> None:
        self.app, self.pilot, self.editor = app, pilot, app.editor

    async def begin(self, text: str, cursor: Location | None = None) -> None:
        """Another text, with the cursor at its end unless told otherwise, and a suggestion asked for."""
        self.app.clear_notifications()
        self.app.panel.close()
        self.app.buffer.text = text
        self.editor.load_text(text)
        self.editor.move_cursor(cursor or self.editor.document.end)
        await self.press("ctrl+@")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.press(*(KEYS.get(character, character) for character in text))

    def type_at_once(self, text: str) -> None:
        """Before any answer of the server's can come."""
        self.editor.replace(text, *self.editor.selection, maintain_selection_offset=False)

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until something is to be seen; what there is instead is in the failure."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "\n".join([*self.rows, self.how, self.state, *self.toasts])
            await asyncio.sleep(0.01)

    async def until_ghost(self, text: str) -> None:
        await self.until(lambda: self.ghost == text)

    @property
    def text(self) -> str:
        return self.editor.text

    @property
    def ghost(self) -> str:
        return self.editor.ghost.text if self.editor.ghost else ""

    @property
    def rows(self) -> list[str]:
        """What the editor shows, without trailing spaces."""
        width, height = self.editor.size
        return [self.editor.render_line(y).crop(0, width).text.rstrip() for y in range(height)]

    @property
    def name(self) -> str:
        return str(self.app.name_bar.content)

    @property
    def how(self) -> str:
        return str(self.app.how_bar.content)

    @property
    def state(self) -> str:
        return str(self.app.state_bar.content)

    @property
    def toasts(self) -> list[str]:
        return self.app.said


@asynccontextmanager
async def demo(
    text: str = "",
    command: Sequence[str] = COMMAND,
    buffer: Buffer | None = None,
    state: str = "ready",
    **options: Any,
) -> AsyncIterator[Screen]:
    """The demo once the server has this state, with the cursor at the text's end unless the buffer says otherwise."""
    lines = text.split("\n")
    buffer = buffer or Buffer(URI, "python", text, cursor=(len(lines) - 1, len(lines[-1])))
    app = Watched(buffer, command, options)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = Screen(app, pilot)
        await screen.until(lambda: screen.state.startswith(state))
        yield screen


Play = Callable[[Screen], Awaitable[None]]


def played(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @functools.wraps(test)
    def play(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return play


class Theatre:
    """One demo for many tests, in a thread: starting it takes longer than most of them."""

    def __init__(self) -> None:
        self._plays: Queue[Play | None] = Queue()
        self._ends: Queue[BaseException | None] = Queue()
        self._thread = Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()

    def play(self, play: Play) -> None:
        self._plays.put(play)
        if (failure := self._ends.get()) is not None:
            raise failure

    def close(self) -> None:
        self._plays.put(None)
        self._thread.join()

    async def _run(self) -> None:
        async with demo() as screen:
            while (play := await asyncio.to_thread(self._plays.get)) is not None:
                try:
                    await play(screen)
                except BaseException as failure:
                    self._ends.put(failure)
                else:
                    self._ends.put(None)


def observed(folder: Path) -> tuple[list[str], Callable[[], int]]:
    """The scripted server, and what tells the number of its process."""
    note = folder / "pid"
    return ["sh", "-c", f'echo $$ > "{note}"; exec "$@"', "sh", *COMMAND], lambda: int(note.read_text())
