"""A simulated editor: types in a document of its own at a person's pace, and asks after each key as editors do."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

from starfill.assist.completion.assistant import Assistant
from starfill.errors import EngineError
from starfill.jobs import Job, Result, Ticket
from starfill.text.document import Document
from starfill.text.position import Encoding, Position
from traces import trace
from traces.typist import Place, Typist

SKIPPED = 40  # lines at the beginning of a file: its licence and the like
LINES = 80  # of a document, and as many to be written into it
STRETCH = 10  # lines written at one place before the next
LONGEST = 30.0  # seconds after which a request counts as never answered: the engine's own limit is 20
CALM = 1.0  # seconds without a key after a request, in which it can show what it takes

ANSWERED, TYPED_ON, FAILED, UNANSWERED = "answered", "typed on", "failed", "unanswered"


@dataclass(slots=True)
class Sample:
    """One request. at: seconds since the beginning. outcome: one of the above. room: seconds until the next one.

    first_ms, whole_ms: to the first token and the end, None where the next key came before. source: as in `Figures`.
    prompt, cached: tokens, once the engine has said so.
    """

    at: float
    outcome: str = UNANSWERED
    room: float = LONGEST
    first_ms: float | None = None
    whole_ms: float | None = None
    source: str = "model"
    reason: str | None = None
    prompt: int = 0
    cached: int = 0


class Watched:
    """The engine of an editor, which tells when the first token of the present request comes, and what was cached."""

    def __init__(self, assistant: Assistant) -> None:
        self._submit = assistant.engine.submit
        assistant.engine.submit = self.submit  # type: ignore[method-assign]
        self.sample: Sample | None = None

    def submit(self, job: Job) -> Ticket:
        sample, began = self.sample, time.perf_counter()
        if sample is None or not job.max_new_tokens:
            return self._submit(job)

        def on_token(candidate: int, token: int) -> bool:
            if sample.first_ms is None:
                sample.first_ms = (time.perf_counter() - began) * 1e3
            return job.on_token(candidate, token)

        ticket = self._submit(replace(job, on_token=on_token))
        ticket.future.add_done_callback(partial(_note, sample))
        return ticket


def _note(sample: Sample, future: Future[Result]) -> None:
    if future.exception() is None and sample.first_ms is not None:
        result = future.result()
        sample.prompt, sample.cached = result.prompt_tokens, result.cached_tokens


class Editor:
    """number: of this editor, from which its document follows. think: seconds between two lines, on average."""

    def __init__(self, number: int, assistant: Assistant, think: float, began: float) -> None:
        self._number, self._assistant, self._think, self._began = number, assistant, think, began
        self._watched = Watched(assistant)
        self._chance = random.Random(number)
        self._asking: asyncio.Task[None] | None = None
        self.samples: list[Sample] = []

    async def type(self, over: Callable[[], bool]) -> None:
        await asyncio.sleep(self._chance.random() * self._think)
        while not over():
            await self._write(over)
        if self._asking is not None:
            await self._asking

    async def _write(self, over: Callable[[], bool]) -> None:
        """A document, and the lines that are written into it."""
        modules = len(trace.MODULES)
        first = SKIPPED + 2 * LINES * (self._number // modules)
        lines = trace.stdlib_lines(trace.MODULES[self._number % modules])[first : first + 2 * LINES]
        document = Document.open(f"file:///editor{self._number}.py", "python", 1, "\n".join(lines[:LINES]))
        typist = Typist(0, lines[:LINES])
        for number, line in enumerate(lines[LINES:]):
            if number % STRETCH == 0:
                place = self._chance.randrange(len(typist.lines))
                typist.cursor = Place(place, len(typist.lines[place]))
            for event in (typist.enter(line), *typist.type(len(line)), typist.finish()):
                await asyncio.sleep(event.pause)
                if over():
                    return
                if event.change is not None:
                    start, end = (_offset(document, at) for at in (event.change.start, event.change.end))
                    document = document.replaced(start, end, event.change.text, document.version + 1)
                if event.cursor is not None:
                    self._ask(document, _offset(document, event.cursor))
            await asyncio.sleep(self._chance.expovariate(1 / self._think))

    def _ask(self, document: Document, offset: int) -> None:
        now = time.perf_counter() - self._began
        if self.samples:
            self.samples[-1].room = now - self.samples[-1].at
        if self._asking is not None:
            self._asking.cancel()
        sample = Sample(now)
        self.samples.append(sample)
        self._asking = asyncio.create_task(self._request(document, offset, sample))

    async def _request(self, document: Document, offset: int, sample: Sample) -> None:
        began = time.perf_counter()
        self._watched.sample = sample
        try:
            done = await asyncio.wait_for(self._assistant.complete(document, offset), LONGEST)
        except asyncio.TimeoutError:
            return
        except asyncio.CancelledError:
            sample.outcome = TYPED_ON
            return
        except EngineError as error:
            sample.outcome, sample.reason = FAILED, str(error)
            return
        sample.outcome, sample.source, sample.reason = ANSWERED, done.figures.source, done.figures.reason
        sample.whole_ms = (time.perf_counter() - began) * 1e3


def _offset(document: Document, place: Place) -> int:
    return document.offset_at(Position(*place), Encoding.UTF32)


def calm(samples: Sequence[Sample]) -> list[Sample]:
    """Those after which nobody typed for a while, so that how long they take isn't cut off by the next key."""
    return [each for each in samples if each.room >= CALM and each.source == "model"]
