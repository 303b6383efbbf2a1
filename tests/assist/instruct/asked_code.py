"""A method of a class, and an instructor over an engine that knows its answers by heart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from assist.toy import INFO, ByHeart, ToyTokenizer
from starfill.assist.instruct.actions import ACTIONS, Action, Placement
from starfill.assist.instruct.instructor import Instructor
from starfill.assist.instruct.outcome import Instruction, Outcome
from starfill.assist.prompts.detect import detect
from starfill.assist.prompts.family import Identity
from starfill.config.settings import Settings
from starfill.errors import RequestError
from starfill.jobs import Job
from starfill.text.document import Document, applied
from starfill.text.position import Span

TOKENIZER = ToyTokenizer()


DIALECT = detect(Identity("gpt_bigcode", TOKENIZER.special, None, "toy", declared="starfill"))


URI = "file:///a.py"


CODE = "import re\n\n\nclass A:\n    def f(self):\n        value = 1\n        return value\n\n\nx = 1\n"


METHOD = "    def f(self):\n        value = 1\n        return value"


AT = CODE.index("value")


Answers = str | Callable[[Job], str]


def engine(answer: Answers, gate: threading.Event | None = None, context: int = 4096) -> ByHeart:
    return ByHeart(TOKENIZER, answer, info=replace(INFO, context_length=context), gate=gate)


def run(model: ByHeart, script: Callable[[Instructor], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
    instructor = Instructor(model, TOKENIZER, DIALECT, Settings(**settings))
    try:
        return asyncio.run(asyncio.wait_for(script(instructor), 20))
    finally:
        instructor.close()


def request(
    action: str | Action = "refactor", code: str = CODE, at: tuple[int, int] = (AT, AT), **more: Any
) -> Instruction:
    document = Document.open(URI, more.pop("language", "python"), 3, code)
    return Instruction(document, Span(*at), ACTIONS[action] if isinstance(action, str) else action, **more)


def instruct(answer: Answers, asked: Instruction, **settings: Any) -> Outcome:
    async def script(instructor: Instructor) -> Outcome:
        return await instructor.instruct(asked)

    outcome: Outcome = run(engine(answer), script, **settings)
    return outcome


def refused(answer: Answers, asked: Instruction, context: int = 4096, **settings: Any) -> str:
    async def script(instructor: Instructor) -> str:
        with pytest.raises(RequestError) as caught:
            await instructor.instruct(asked)
        return str(caught.value)

    sentence: str = run(engine(answer, context=context), script, **settings)
    return sentence


def after(outcome: Outcome) -> str:
    return applied(outcome.instruction.document, outcome.edits).text


def placed(placement: Placement) -> Action:
    return Action("own", "own", "Do it.", "refactor", placement)


BETTER = "def f(self):\n    return 1\n"
