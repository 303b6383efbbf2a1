"""Asking the client something without depending on its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from pygls.exceptions import JsonRpcException

T = TypeVar("T")


async def ask(question: Coroutine[Any, Any, T], seconds: float) -> T:
    """The answer; JsonRpcException for an error and when there is none in time.

    A question that takes too long is not cancelled: pygls trips over the late answer to a cancelled one.
    """
    answer = asyncio.ensure_future(question)
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, also when it comes too late
    await asyncio.wait([answer], timeout=seconds)
    if not answer.done():
        raise JsonRpcException(f"no answer within {seconds} s")
    return answer.result()
