"""An assistant whose pauses end when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from assist.toy import ByHeart, Pauses, ToyTokenizer, dialect
from starfill.assist.completion.assistant import Assistant
from starfill.config.settings import Settings
from starfill.jobs import Job
from starfill.text.document import Document

TOKENIZER = ToyTokenizer()


DIALECT = dialect(TOKENIZER.special)


MIDDLE = "x = value\ny = result\n"


Script = Callable[[Assistant, Pauses], Coroutine[Any, Any, Any]]


def run(model: ByHeart, script: Script, **settings: Any) -> None:
    pauses = Pauses()
    assistant = Assistant(model, TOKENIZER, DIALECT, Settings(multi_line="never", **settings), pause=pauses)
    try:
        asyncio.run(asyncio.wait_for(script(assistant, pauses), 20))
    finally:
        assistant.close()


def model(middle: str | Callable[[Job], str] = MIDDLE) -> ByHeart:
    return ByHeart(TOKENIZER, middle)


async def idle_jobs(engine: ByHeart, pauses: Pauses, count: int) -> list[Job]:
    """The idle jobs, once nothing has been asked for a moment and their answers have arrived."""
    await pauses.end()
    await asyncio.gather(*map(asyncio.wrap_future, engine.ahead))
    assert len(engine.idle) == count
    return engine.idle


def typed(document: Document, offset: int, text: str) -> tuple[Document, int]:
    return document.replaced(offset, offset, text, document.version + 1), offset + len(text)
