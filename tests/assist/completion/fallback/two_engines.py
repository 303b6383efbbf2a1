"""A remote engine and a local one, both scripted, with a FallbackAssistant over their assistants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from assist.toy import INFO, ByHeart, ToyTokenizer, dialect, doc
from starfill.assist.completion.assistant import Assistant
from starfill.assist.completion.fallback import FallbackAssistant
from starfill.assist.completion.result import Completion
from starfill.config.settings import Settings
from starfill.errors import EngineError
from starfill.jobs import Job, Priority, Result, Ticket

TOKENIZER = ToyTokenizer()


DIALECT = dialect(TOKENIZER.special)


AWAY = replace(INFO, name="away", device="https://engine.example.com")


HERE = replace(INFO, name="here")


URI = "file:///a.py"


BROKEN = EngineError("https://engine.example.com can't be reached (refused)", again=True)


SOON, LONG = 50, 60_000  # ms: a budget that a held job exceeds, and one that nothing exceeds


T = TypeVar("T")


@dataclass
class Away(ByHeart):
    """The engine elsewhere: `error`, when given, is what its jobs end with."""

    error: EngineError | None = None
    told: Callable[[str | None], None] = lambda trouble: None

    def submit(self, job: Job) -> Ticket:
        if self.error is None or job.priority is Priority.IDLE:
            return super().submit(job)
        self.jobs.append(job)
        future: Future[Result] = Future()
        future.set_exception(self.error)
        return Ticket(future, lambda: None)


@dataclass
class Pair:
    """Both engines, the assistant over their assistants, what it told, and a clock to turn."""

    away: Away = field(default_factory=lambda: Away(TOKENIZER, "x = value + away\n", AWAY))
    here: ByHeart = field(default_factory=lambda: ByHeart(TOKENIZER, "x = value - here\n", HERE))
    told: list[str | None] = field(default_factory=list)
    now: float = 0.0
    budget: int = LONG
    found: Callable[[], Assistant] | None = None  # what reaches an engine that isn't there at first
    missing: EngineError | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        url = AWAY.device
        return Settings(engine_url=url, engine_latency_budget_ms=self.budget, multi_line="never", **self.more)

    def first(self) -> Assistant:
        return Assistant(self.away, TOKENIZER, DIALECT, self.settings)

    async def held_is_late(self, work: Awaitable[T], seconds: float) -> T:
        """Instead of waiting: what is held takes too long, and nothing else does."""
        task = asyncio.ensure_future(work)
        if self.away.gate is None or self.away.gate.is_set():
            return await task
        await self.away.asked(len(self.away.jobs) + 1)
        task.cancel()
        await asyncio.wait([task])
        raise asyncio.TimeoutError

    def run(self, script: Callable[[FallbackAssistant], Coroutine[Any, Any, None]], **time: Any) -> None:
        second = Assistant(self.here, TOKENIZER, DIALECT, self.settings)
        first = self.missing or self.first()
        either = FallbackAssistant(first, second, self.settings, self.found or self.first, lambda: self.now, **time)
        either.watch(self.told.append)
        try:
            asyncio.run(asyncio.wait_for(script(either), 20))
        finally:
            either.close()
        assert self.here.closed and (self.away.closed or either.remote is None)


async def ask(either: FallbackAssistant, marked: str = "x = ‸\n", version: int = 1, **options: Any) -> Completion:
    return await either.complete(*doc(marked, version), **options)


def text(completion: Completion) -> str:
    return completion.items[0].text


async def until(condition: Callable[[], object]) -> None:
    for _ in range(4000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("waited in vain")
