"""`starfill/status`: what the server is doing, told to the client when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

SOON = 0.03  # seconds; what is over sooner isn't told: two messages with each keystroke would take time

State = Literal["starting", "loading", "ready", "busy", "error"]


@dataclass(frozen=True, slots=True)
class Report:
    state: State
    message: str = ""
    model: str = ""
    device: str = ""


class Status:
    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._report = Report("starting")
        self._sent: Report | None = None
        self._computing = 0

    def set(self, report: Report) -> None:
        self._report = report
        self._tell()

    @contextmanager
    def busy(self, after: float = 0.0) -> Iterator[None]:
        """While at least one of these is entered, and that for `after` seconds, "ready" is shown as "busy"."""
        self._computing += 1
        later = asyncio.get_running_loop().call_later(after, self._tell)
        if not after:
            self._tell()
        try:
            yield
        finally:
            later.cancel()
            self._computing -= 1
            if not self._computing:
                self._tell()

    @property
    def why_not(self) -> str:
        """Why there are no suggestions, for a server that has no model (now)."""
        return self._report.message if self._report.state == "error" else "the model is still loading"

    def _tell(self) -> None:
        seen = replace(self._report, state="busy") if self._busy else self._report
        if seen != self._sent:
            self._sent = seen
            self._send(asdict(seen))

    @property
    def _busy(self) -> bool:
        return self._computing > 0 and self._report.state == "ready"
