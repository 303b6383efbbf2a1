"""A completion from an engine that knows its answers by heart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from assist.toy import ByHeart, ToyTokenizer, dialect, doc
from starfill.assist.completion.assistant import Assistant
from starfill.assist.completion.result import Completion
from starfill.config.settings import Settings
from starfill.jobs import Job

TOKENIZER = ToyTokenizer()


DIALECT = dialect(TOKENIZER.special)


URI = "file:///a.py"


def engine(middle: str | Callable[[Job], str], gate: threading.Event | None = None) -> ByHeart:
    return ByHeart(TOKENIZER, middle, gate=gate)


def run(model: ByHeart, script: Callable[[Assistant], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
    assistant = Assistant(model, TOKENIZER, DIALECT, Settings(**settings))
    try:
        return asyncio.run(asyncio.wait_for(script(assistant), 20))
    finally:
        assistant.close()


def complete(marked: str, middle: str, settings: dict[str, Any] | None = None, **options: Any) -> Completion:
    async def script(assistant: Assistant) -> Completion:
        return await assistant.complete(*doc(marked), **options)

    completion: Completion = run(engine(middle), script, **settings or {})
    return completion


def applied(marked: str, completion: Completion) -> str:
    document, _ = doc(marked)
    (edit,) = completion.items
    return document.replaced(edit.start, edit.end, edit.text).text
