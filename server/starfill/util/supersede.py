"""The newest request wins: an older one for the same thing is superseded, and whoever waits for it goes on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
T = TypeVar("T")


class NewestWins(Generic[K, R]):
    """The running request of each key, as a future. It is done, with the reason, when the request is superseded.

    To be used on the event loop only, except `supersede_all`.
    """

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Future[R]] = {}

    def __bool__(self) -> bool:
        """Whether any request is running."""
        return bool(self._running)

    def begin(self, key: K, reason: R) -> asyncio.Future[R]:
        """Begin a request. The one that is running is superseded for that reason."""
        self.supersede(key, reason)
        self._running[key] = request = asyncio.get_running_loop().create_future()
        return request

    def end(self, key: K, request: asyncio.Future[R]) -> bool:
        """A request has ended, in whatever way. Returns whether it wasn't superseded."""
        newest = self._running.get(key) is request
        if newest:
            del self._running[key]
        return newest

    def runs(self, key: K) -> bool:
        return key in self._running

    def supersede(self, key: K, reason: R) -> None:
        request = self._running.pop(key, None)
        if request is not None and not request.done():
            request.set_result(reason)

    def supersede_all(self, reason: R) -> None:
        """From any thread: the event loop may be another thread's, or closed already."""
        for request in list(self._running.values()):
            _resolve_soon(request, reason)


async def until_superseded(request: asyncio.Future[R], work: asyncio.Future[T]) -> T | None:
    """The result of `work`; None as soon as the request is superseded."""
    work.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, also when nobody waits any more
    await asyncio.wait((request, work), return_when=asyncio.FIRST_COMPLETED)
    return None if request.done() else work.result()


def _resolve_soon(request: asyncio.Future[R], reason: R) -> None:
    def resolve() -> None:
        if not request.done():
            request.set_result(reason)

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        request.get_loop().call_soon_threadsafe(resolve)
