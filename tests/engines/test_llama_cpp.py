"""llama.cpp's server: a cancelled request stops, a prompt is found again, and a sudden end is survived."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from engines import asking, serving
from engines.serving import LLAMA, Models
from latency.summary import WARM
from load.process import Running
from starfill.app.backend import LocalBackend
from starfill.assist.completion.assistant import Assistant
from starfill.assist.instruct.actions import ACTIONS
from starfill.assist.instruct.outcome import Instruction
from starfill.errors import EngineError
from starfill.text.document import Document
from starfill.text.position import Span
from traces import trace

pytestmark = pytest.mark.engines

FREE = 0.1  # seconds after which a cancelled request must have stopped
AGAIN = 0.95  # of the prompt of a warm keystroke, found in the engine's cache
CODE = "def mean(values):\n    return sum(values) / len(values)\n"
EDITORS = 6
PATIENCE = 60.0  # seconds; no request may take half as long


@pytest.fixture
def assistant(llama: Running, models: Models) -> Iterator[Assistant]:
    opened = LocalBackend().load(serving.settings(LLAMA, models, llama))
    assert isinstance(opened, Assistant)
    yield opened
    opened.close()


def test_cancelling_frees_the_engine(llama: Running, assistant: Assistant) -> None:
    took = asking.freed(assistant, partial(_working, llama))
    assert statistics.median(took) < FREE


def test_a_keystroke_finds_its_prompt_in_the_engines_cache(assistant: Assistant) -> None:
    played = trace.mixed(trace.sources(3, 80), asks=90)

    async def type_it() -> list[float]:
        return [
            done.figures.cached_tokens / done.figures.prompt_tokens
            async for event, done in asking.typed(played, assistant)
            if event.kind in WARM and done.figures.source == "model"
        ]

    shares = asyncio.run(type_it())
    print(f"{len(shares)} keystrokes, {statistics.mean(shares):.1%} of the prompt cached, at least {min(shares):.1%}")
    assert len(shares) > 30
    assert statistics.mean(shares) >= AGAIN
    assert statistics.median(shares) >= AGAIN


@pytest.mark.parametrize("name", ["explain", "docstring"])
def test_an_action(name: str, llama: Running, models: Models) -> None:
    """Answers in full, of the form that the action wants; what they say is the small model's."""
    document = Document.open("file:///a.py", "python", 1, CODE)
    instructor = LocalBackend().load_instructor(serving.settings(LLAMA, models, llama))
    heard: list[str] = []
    try:
        asked = Instruction(document, Span(6, 6), ACTIONS[name])
        outcome = asyncio.run(instructor.instruct(asked, lambda text, _: heard.append(text)))
    finally:
        instructor.close()
    assert heard and outcome.figures.generated_tokens > 4
    if name == "explain":
        assert outcome.text and not outcome.edits
    else:
        assert '"""' in outcome.text and outcome.text.endswith("    return sum(values) / len(values)")


def test_an_engine_that_is_killed_while_it_works_is_survived(llama: Running, assistant: Assistant) -> None:
    """Every request has an answer or a reason, and once it is back it is used again by itself."""
    asyncio.run(asyncio.wait_for(_through_a_kill(llama, assistant), 3 * PATIENCE))


async def _through_a_kill(llama: Running, assistant: Assistant) -> None:
    answered, failed = [0] * EDITORS, [0] * EDITORS
    over = False

    async def edit(number: int) -> None:
        document = Document.open(
            f"file:///editor{number}.py", "python", 1, f"def first_{number}(values):\n    return \n"
        )
        while not over:
            end = len(document.text) - 1
            document = document.replaced(end, end, "abcdef_"[len(document.text) % 7])
            try:
                done = await asyncio.wait_for(assistant.complete(document, end + 1), PATIENCE / 2)
                answered[number] += done.figures.source == "model"
            except EngineError:
                failed[number] += 1
                await asyncio.sleep(0.05)  # of somebody who types on
            if len(document.text) > 300:
                document = Document.open(document.uri, "python", document.version + 1, f"x_{number} = \n")

    async def until(true: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not true():
            assert time.monotonic() - began < PATIENCE, (answered, failed)
            await asyncio.sleep(0.01)

    editors = [asyncio.create_task(edit(number)) for number in range(EDITORS)]
    await until(lambda: min(answered) >= 3)
    llama.kill()
    await until(lambda: min(failed) >= 1)
    llama.start()
    await asyncio.to_thread(llama.wait)
    before = list(answered)
    await until(lambda: all(now > then for now, then in zip(answered, before, strict=True)))
    over = True
    await asyncio.gather(*editors)


def _working(llama: Running) -> bool:
    return any(slot["is_processing"] for slot in llama.get("/slots"))
