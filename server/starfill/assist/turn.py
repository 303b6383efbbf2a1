"""Waiting for work that a newer request may make pointless."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(overtaken: asyncio.Future[Any], work: asyncio.Future[T]) -> T | None:
    """The result of `work`, or None as soon as the request is overtaken."""
    work.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, also when nobody waits any more
    await asyncio.wait((overtaken, work), return_when=asyncio.FIRST_COMPLETED)
    return None if overtaken.done() else work.result()
