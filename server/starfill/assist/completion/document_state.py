"""What is remembered of a document between its requests."""

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
    """`anchor` belongs to the prompt thread, all else to the event loop.

    pending: the last request of the editor. prepared: what it will be when the suggestion shown is accepted.
    idle: planning what to prepare; a newer plan or a request ends it.
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
