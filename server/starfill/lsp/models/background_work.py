"""Blocking work in a thread of its own, with progress shown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from starfill.errors import StarfillError
from starfill.lsp.client.progress import WorkDoneProgress
from starfill.util.daemon_thread import in_daemon_thread
from starfill.util.progress import OnProgress

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)
T = TypeVar("T")


async def run_with_progress(
    client: LanguageServer, title: str | None, work: Callable[[OnProgress], T], failed: str
) -> T:
    """The result of `work`, which reports its progress. Raises StarfillError for every failure, with a sentence that
    begins with `failed`.

    title: None for work that is too quick to be shown. Cancelling ends the wait, not the thread.
    """
    progress = WorkDoneProgress(client)
    loop = asyncio.get_running_loop()
    if title is not None:
        progress.start(title)

    def report(fraction: float, message: str) -> None:
        loop.call_soon_threadsafe(progress.report, fraction, message)

    try:
        return await asyncio.wrap_future(in_daemon_thread(lambda: work(report)))
    except StarfillError:
        raise
    except Exception as error:
        logger.exception(failed)
        raise StarfillError(f"{failed}: {type(error).__name__}: {error}") from error
    finally:
        progress.end()
