"""Waiting for work that a newer request may make pointless."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(overtaken: asyncio.Future[Any], work: asyncio.Future[T]) -> T | None:
    """The result of `work`, or None as soon as the request is overtaken."""
    work.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, also when nobody waits any more
    await asyncio.wait((overtaken, work), return_when=asyncio.FIRST_COMPLETED)
    return None if overtaken.done() else work.result()


def end_soon(turn: asyncio.Future[T], result: T) -> None:
    """Resolve a future of an event loop that may run in another thread, unless it is resolved already."""

    def resolve() -> None:
        if not turn.done():
            turn.set_result(result)

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        turn.get_loop().call_soon_threadsafe(resolve)
