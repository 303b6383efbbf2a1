"""The same places asked of any assistant, and what its engine was asked and answered."""

from __future__ import annotations

import asyncio
import random
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from starfill.app.backend import LocalBackend
from starfill.assist.completion.assistant import Assistant
from starfill.assist.completion.result import Completion
from starfill.config.settings import Settings
from starfill.jobs import Job, Result, Ticket
from starfill.text.document import Document
from starfill.text.position import Edit, Encoding, Position
from traces.trace import Trace
from traces.typist import Event, Place

PATIENCE = 60.0  # seconds
SOURCES = Path(__file__).parents[2] / "server" / "starfill"


class Recorder:
    """An engine that remembers the last completion it was asked for."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.asked: tuple[Job, Future[Result]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def submit(self, job: Job) -> Ticket:
        ticket: Ticket = self._engine.submit(job)
        if job.max_new_tokens and job.priority.name == "COMPLETION":
            self.asked = job, ticket.future
        return ticket

    def release(self, key: Hashable) -> None:
        self._engine.release(key)


@dataclass(frozen=True, slots=True)
class Answered:
    edits: tuple[Edit, ...]
    reason: str | None
    job: Job
    result: Result

    @property
    def shown(self) -> tuple[str, ...]:
        """The texts, or why there is none."""
        return tuple(edit.text for edit in self.edits) or (self.reason or "",)


def places(count: int, controls: Sequence[str], seed: int = 10) -> list[tuple[Document, int]]:
    """A place in each of as many files of the repository.

    controls: where one stands in a file, text that is sent isn't the same, on purpose: those are left out.
    """
    chance = random.Random(seed)
    found = []
    for path in sorted(SOURCES.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if len(text) > 1000 and not any(control in text for control in controls):
            offset = chance.randrange(200, len(text) - 100)
            found.append((Document.open(f"file:///{path.relative_to(SOURCES)}", "python", 1, text), offset))
    return chance.sample(found, count)


def answers(settings: Settings, wanted: Sequence[tuple[Document, int]]) -> list[Answered]:
    """Each place asked once, nothing else meanwhile."""
    assistant = LocalBackend().load(settings)
    assert isinstance(assistant, Assistant)
    recorder = Recorder(assistant.engine)
    assistant.engine = recorder  # type: ignore[assignment]

    async def ask(document: Document, offset: int) -> Answered:
        done = await assistant.complete(document, offset)
        assert recorder.asked is not None
        job, future = recorder.asked
        return Answered(done.items, done.figures.reason, job, future.result())

    try:
        return [asyncio.run(ask(*place)) for place in wanted]
    finally:
        assistant.close()


async def typed(trace: Trace, assistant: Assistant) -> AsyncIterator[tuple[Event, Completion]]:
    """The answer to each of a trace's requests, one after the other."""
    documents = [Document.open(f"file:///{n}.py", "python", 1, text) for n, text in enumerate(trace.texts)]
    for event in (event for events in trace.rounds for event in events):
        document = documents[event.document]
        if event.change is not None:
            start, end = (_offset(document, place) for place in (event.change.start, event.change.end))
            documents[event.document] = document = document.replaced(start, end, event.change.text)
        if event.cursor is not None:
            yield event, await assistant.complete(document, _offset(document, event.cursor))


def _offset(document: Document, place: Place) -> int:
    return document.offset_at(Position(*place), Encoding.UTF32)


def freed(assistant: Assistant, working: Callable[[], object]) -> list[float]:
    """Seconds until the engine stops once a request is cancelled while tokens come, ten times. working: does it yet."""
    ids = assistant.tokenizer.encode("numbers = [\n" + "".join(f"    {number},\n" for number in range(20)))
    took = []
    for number in range(10):
        begun = threading.Event()
        job = Job(key=f"file:///{number}.py", ids=ids, max_new_tokens=800, on_token=partial(_begun, begun))
        ticket = assistant.engine.submit(job)
        assert begun.wait(PATIENCE)
        assert working()
        began = time.perf_counter()
        ticket.cancel()
        while working():
            assert time.perf_counter() - began < PATIENCE
        took.append(time.perf_counter() - began)
        assert ticket.future.result(PATIENCE).generated_tokens < 800
    print(f"freed after {statistics.median(took) * 1e3:.0f} ms, at worst {max(took) * 1e3:.0f} ms")  # pytest -rP
    return took


def _begun(event: threading.Event, candidate: int, token: int) -> bool:
    event.set()
    return False
