"""Work-done progress for one load, download or instruction; nothing for a client that can't show any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from starfill.lsp.client.questions import ask

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

PATIENCE = 5  # seconds for the client to answer; without an answer no progress is shown, and the work goes on


class WorkDoneProgress:
    """start() once, report() at any time, end() once. All are called on the event loop, and none waits for the client.

    cancel: called when the user presses the button of the progress; None shows no button.
    token: sent by the client with its request; None asks the client for one.
    """

    def __init__(
        self,
        client: LanguageServer,
        cancel: Callable[[], None] | None = None,
        token: types.ProgressToken | None = None,
    ) -> None:
        self._client, self._cancel = client, cancel
        self._asks = token is None
        self._token = str(uuid4()) if token is None else token
        self._percentage: int | None = 0
        self._message = ""
        self._state = "new"
        self._beginning: asyncio.Task[None] | None = None  # keeps the task alive

    def start(self, title: str) -> None:
        self._beginning = asyncio.create_task(self._begin(title))

    async def _begin(self, title: str) -> None:
        if self._asks:
            if not get_capability(self._client.client_capabilities, "window.work_done_progress", False):
                return
            try:
                await ask(self._client.work_done_progress.create_async(self._token), PATIENCE)
            except JsonRpcException:
                return
        if self._state == "new":
            self._state = "shown"
            begin = types.WorkDoneProgressBegin(
                title=title,
                cancellable=True if self._cancel is not None else None,
                message=self._message or None,
                percentage=self._percentage,
            )
            self._client.work_done_progress.begin(self._token, begin)
            if (cancel := self._cancel) is not None:
                button = self._client.work_done_progress.tokens[self._token]  # pygls cancels it for the client
                button.add_done_callback(lambda pressed: cancel())

    def report(self, fraction: float | None, message: str) -> None:
        """`fraction` from 0 to 1, None if unknown. The client is notified when the whole percent or the message
        changes.

        None before the start keeps the client from showing a percentage at all.
        """
        percentage = None if fraction is None else round(100 * min(max(fraction, 0.0), 1.0))
        if (percentage, message) == (self._percentage, self._message):
            return
        self._percentage, self._message = percentage, message
        if self._state == "shown":
            report = types.WorkDoneProgressReport(message=message, percentage=percentage)
            self._client.work_done_progress.report(self._token, report)

    def end(self) -> None:
        if self._state == "shown":
            self._client.work_done_progress.end(self._token, types.WorkDoneProgressEnd())
        self._client.work_done_progress.tokens.pop(self._token, None)
        self._state = "ended"
