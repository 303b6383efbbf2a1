"""What the assistant remembers of a document between requests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from starfill.assist.completion.fim_prompt import Anchor
from starfill.assist.completion.fim_request import PendingAnswer
from starfill.assist.completion.type_through import Shown


@dataclass(slots=True, eq=False)
class DocumentState:
    """`anchor` belongs to the prompt thread, everything else to the event loop.

    pending: the editor's last request. prepared: the request that follows if the suggestion shown is accepted.
    idle: the task that prepares requests ahead of time; a newer one, or a request, cancels it.
    """

    anchor: Anchor | None = None
    shown: tuple[Shown, ...] = ()
    pending: PendingAnswer | None = None
    prepared: PendingAnswer | None = None
    idle: asyncio.Task[None] | None = None

    def prepare(self, work: Coroutine[Any, Any, None]) -> None:
        self.rest()
        self.idle = asyncio.ensure_future(work)

    def rest(self) -> None:
        if self.idle is not None:
            self.idle.cancel()
            self.idle = None

    def forget_suggestions(self) -> None:
        self.rest()
        self.shown, self.pending, self.prepared = (), None, None
