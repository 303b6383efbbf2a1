"""What is remembered of a document between its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from starfill.assist.completion import Figures
from starfill.assist.fim import Anchor
from starfill.assist.question import Asked
from starfill.assist.reuse import Shown


@dataclass(slots=True, eq=False)
class Memory:
    """`anchor` belongs to the prompt thread, all else to the event loop.

    turn: of the running request, if any; done once that is overtaken by a newer one.
    asked: the last question of the editor. prepared: what it will be when the suggestion shown is accepted.
    idle: planning what to prepare; a newer plan or a request ends it.
    """

    anchor: Anchor | None = None
    shown: tuple[Shown, ...] = ()
    figures: Figures | None = None
    turn: asyncio.Future[None] | None = None
    asked: Asked | None = None
    prepared: Asked | None = None
    idle: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self.turn is not None and not self.turn.done()

    def begin(self) -> asyncio.Future[None]:
        """The turn of a new request; the running one is overtaken."""
        self.overtake()
        self.turn = asyncio.get_running_loop().create_future()
        return self.turn

    def overtake(self) -> None:
        self.rest()
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(None)

    def prepare(self, work: Coroutine[Any, Any, None]) -> None:
        self.rest()
        self.idle = asyncio.ensure_future(work)

    def rest(self) -> None:
        if self.idle is not None:
            self.idle.cancel()
            self.idle = None

    def forget_suggestions(self) -> None:
        self.rest()
        self.shown, self.asked, self.prepared = (), None, None
