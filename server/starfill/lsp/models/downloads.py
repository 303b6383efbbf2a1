"""Downloading a model: the user is asked before anything leaves the machine, sees the progress, and can stop it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from starfill.errors import CheckpointError, StarfillError
from starfill.lsp.client.progress import WorkDoneProgress
from starfill.lsp.client.questions import choice
from starfill.lsp.models.backend import Backend
from starfill.util.daemon_thread import in_daemon_thread

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)
T = TypeVar("T")

ASK_THE_HUB = "Ask the hub"


class Downloader:
    """Asks and downloads. What follows is the loader's decision."""

    def __init__(self, client: LanguageServer, backend: Backend) -> None:
        self._client, self._backend = client, backend
        self._kept: set[asyncio.Future[None]] = set()  # keeps the tasks alive

    async def agreed(self, repository: str) -> bool | None:
        """Whether the user wants the download, after two questions. Only after the first yes is the hub asked for its
        size.

        None if the client can't ask. Raises StarfillError if the hub says that it can't be downloaded.
        """
        agreed = await choice(
            self._client,
            f"Starfill: {repository} is not on this machine, or not all of it. Ask the hub how large it is, to download"
            " it? Nothing leaves this machine before.",
            ASK_THE_HUB,
        )
        if not agreed:
            return agreed
        size = await _sentences(
            repository, asyncio.wrap_future(in_daemon_thread(lambda: self._backend.download_size(repository)))
        )
        return await choice(
            self._client, f"Starfill: {size} are to be downloaded for {repository}.", f"Download ({size})"
        )

    async def pull(self, repository: str, how_far: Callable[[float], None]) -> None:
        """Download with work-done progress. Ends at once if that is cancelled; the thread ends by itself.

        how_far: called with a fraction, on the event loop, and not after the end. Raises StarfillError if the download
        failed or was stopped; the next one continues from what was downloaded.
        """
        loop = asyncio.get_running_loop()
        stop, stopped, ended = Event(), loop.create_future(), False

        def cancel() -> None:
            stop.set()
            if not stopped.done():
                stopped.set_result(None)

        progress = WorkDoneProgress(self._client, cancel)
        progress.start(f"Starfill: downloading {repository}")

        def told(fraction: float, message: str) -> None:
            if not ended:
                progress.report(fraction, message)
                how_far(fraction)

        def report(fraction: float, message: str) -> None:
            loop.call_soon_threadsafe(told, fraction, message)

        work = asyncio.wrap_future(in_daemon_thread(lambda: self._backend.pull(repository, report, stop.is_set)))
        self._keep(work)  # the thread may end after this method
        await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
        ended = True
        progress.end()
        if not work.done():
            raise CheckpointError(
                f"The download of {repository} was stopped; what is here is kept, and `starfill models pull"
                f" {repository}` goes on from there"
            )
        await _sentences(repository, work)

    def _keep(self, running: asyncio.Future[None]) -> None:
        def ended(running: asyncio.Future[None]) -> None:
            self._kept.discard(running)
            running.exception()  # marks an exception as retrieved, even if nobody waits for it

        self._kept.add(running)
        running.add_done_callback(ended)


async def _sentences(repository: str, work: asyncio.Future[T]) -> T:
    """The result of `work`. Raises StarfillError for every failure."""
    try:
        return await work
    except StarfillError:
        raise
    except Exception as error:
        logger.exception("A download failed")
        raise CheckpointError(f"{repository} could not be downloaded: {type(error).__name__}: {error}") from error
