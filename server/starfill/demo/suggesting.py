"""When the server is sent a change and asked for a suggestion, and which answers are still wanted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from starfill.demo.change import change
from starfill.demo.client import Client
from starfill.demo.editor import TextEditor
from starfill.demo.rpc import ServerError

# seconds without a key before the server is asked; text that is pasted, or a key held down, is sent at once
DEBOUNCE = 0.03


class Suggesting:
    """tell: called with the figures of each answered request, in the form of `starfill/lastCompletion`."""

    def __init__(self, editor: TextEditor, client: Client, tell: Callable[[dict[str, Any]], object]) -> None:
        self._editor, self._client, self._tell = editor, client, tell
        self._sent: list[str] = []  # the lines as the server has them
        self._asking: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._sent = list(self._editor.document.lines)
        self._client.open(self._editor.text)

    def changed(self) -> None:
        if self._sync():
            self.ask(after=DEBOUNCE)

    def ask(self, invoked: bool = False, after: float = 0.0) -> None:
        """Ask for a suggestion at the cursor, now or in some seconds."""
        self.drop()
        if self._client.version:
            self._asking = asyncio.create_task(self._ask(invoked, after))

    def drop(self) -> None:
        """The request isn't wanted any more; it is cancelled while the server computes."""
        if self._asking is not None:
            self._asking.cancel()

    def _sync(self) -> bool:
        """Send the server what has changed since the last time. Returns whether anything has."""
        lines = list(self._editor.document.lines)
        made = change(self._sent, lines, self._editor.cursor_location) if self._client.version else None
        if made is None:
            return False
        self._sent = lines
        self._client.change(made)
        return True

    async def _ask(self, invoked: bool, after: float) -> None:
        await asyncio.sleep(after)
        self._sync()
        asked, at = self._sent, self._editor.cursor_location
        with contextlib.suppress(ServerError):  # the status shows the error
            ghost = await self._client.complete(at, invoked)
            editor = self._editor
            if editor.document.lines == asked and editor.selection.is_empty and editor.cursor_location == at:
                editor.show(ghost)
                self._tell(await self._client.last_completion())
