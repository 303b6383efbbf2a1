"""Questions to the client or its user, with a limit on the time for the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)
T = TypeVar("T")

NOT_NOW = "Not now"


async def ask(question: Coroutine[Any, Any, T], seconds: float) -> T:
    """The answer. Raises JsonRpcException for an error, and if there is no answer in time.

    A question that takes too long isn't cancelled: pygls fails on a late answer to a cancelled one.
    """
    answer = asyncio.ensure_future(question)
    # marks an exception as retrieved, even if the answer comes too late
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([answer], timeout=seconds)
    if not answer.done():
        raise JsonRpcException(f"no answer within {seconds} s")
    return answer.result()


async def choice(client: LanguageServer, message: str, action: str) -> bool | None:
    """Whether the user chooses the action that a message offers; None if the client can't ask."""
    actions = [types.MessageActionItem(action), types.MessageActionItem(NOT_NOW)]
    params = types.ShowMessageRequestParams(types.MessageType.Info, message, actions)
    try:
        chosen = await client.window_show_message_request_async(params)
    except JsonRpcException as error:
        logger.warning("The client can't ask: %s", error)
        return None
    return chosen is not None and chosen.title == action
