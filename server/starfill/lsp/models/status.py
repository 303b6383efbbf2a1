"""`starfill/status`: a notification to the client whenever the state of the server changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

SOON = 0.03  # seconds; shorter states aren't sent: two messages with each keystroke would take time

State = Literal["starting", "loading", "ready", "paused", "busy", "error"]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """progress: from 0 to 1 while loading or downloading, None if unknown."""

    state: State
    message: str = ""
    model: str = ""
    device: str = ""
    progress: float | None = None


class Status:
    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._status = ServerStatus("starting")
        self._sent: ServerStatus | None = None
        self._computing = 0
        self._paused = ""

    def set(self, status: ServerStatus) -> None:
        self._status = status
        self._notify()

    def progress(self, fraction: float) -> None:
        """The progress of a load or download. The client is notified of whole percents."""
        if self._status.state == "loading":
            self.set(replace(self._status, progress=round(min(max(fraction, 0.0), 1.0), 2)))

    def pause(self, why: str) -> None:
        """Show "paused" instead of "ready" while there is a reason; "" for none."""
        self._paused = why
        self._notify()

    @contextmanager
    def busy(self, after: float = 0.0) -> Iterator[None]:
        """Show "busy" instead of "ready" or "paused" inside, once that lasts longer than `after` seconds."""
        self._computing += 1
        later = asyncio.get_running_loop().call_later(after, self._notify)
        if not after:
            self._notify()
        try:
            yield
        finally:
            later.cancel()
            self._computing -= 1
            if not self._computing:
                self._notify()

    @property
    def why_not(self) -> str:
        """Why there are no suggestions while the server has no model."""
        return self._status.message if self._status.state == "error" else "the model is still loading"

    def _notify(self) -> None:
        seen = self._seen
        if seen != self._sent:
            self._sent = seen
            self._send(asdict(seen))

    @property
    def _seen(self) -> ServerStatus:
        if self._status.state != "ready":
            return self._status
        if self._computing:
            return replace(self._status, state="busy")
        return replace(self._status, state="paused", message=self._paused) if self._paused else self._status
