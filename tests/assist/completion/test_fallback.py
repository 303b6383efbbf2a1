"""Two assistants as one: which of them answers, and what of that is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

from assist.toy import INFO, ByHeart, ToyTokenizer, dialect, doc
from starfill.assist.completion.assistant import SUPERSEDED, Assistant
from starfill.assist.completion.fallback import MISSES, REST, FallbackAssistant
from starfill.assist.completion.result import Completion
from starfill.config.settings import Settings
from starfill.errors import EngineError, RequestError, SettingsError
from starfill.jobs import Job, Priority, Result, Ticket
from starfill.text.document import Document

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


def test_the_first_answers_in_time() -> None:
    pair = Pair()

    async def script(either: FallbackAssistant) -> None:
        completion = await ask(either)
        assert text(completion) == "value + away"
        assert (completion.figures.model, completion.figures.device) == ("away", "https://engine.example.com")
        assert either.info == AWAY and either.substitute == HERE

    pair.run(script)
    assert pair.here.jobs == [] and pair.told == []


def test_the_second_answers_what_takes_longer_than_the_budget() -> None:
    """And the first one's job is ended, so that its engine can do something else."""
    pair = Pair(budget=SOON)
    pair.away.gate = threading.Event()

    async def script(either: FallbackAssistant) -> None:
        completion = await ask(either)
        assert text(completion) == "value - here"
        figures = completion.figures
        assert (figures.model, figures.device) == ("here", "cpu") and figures.total_ms >= SOON
        assert pair.away.cancelled == pair.away.jobs and len(pair.away.jobs) == 1

    pair.run(script)


def test_the_second_answers_where_the_first_fails() -> None:
    pair = Pair()
    pair.away.error = BROKEN

    async def script(either: FallbackAssistant) -> None:
        assert text(await ask(either)) == "value - here"
        assert len(pair.away.jobs) == 1

    pair.run(script)


def test_known_trouble_is_told_and_the_second_asked_at_once_until_it_is_over() -> None:
    pair = Pair()

    async def script(either: FallbackAssistant) -> None:
        await asyncio.to_thread(pair.away.told, "it is gone")
        await asyncio.to_thread(pair.away.told, "it is gone")
        assert text(await ask(either)) == "value - here"
        assert pair.away.jobs == []
        await asyncio.to_thread(pair.away.told, None)
        assert text(await ask(either, "y = 1\nx = ‸\n")) == "value + away"

    pair.run(script)
    assert pair.told == ["it is gone", None]


def test_trouble_before_anybody_listens_is_told() -> None:
    pair = Pair()

    async def script(either: FallbackAssistant) -> None:
        pair.away.told("it is gone")
        late: list[str | None] = []
        either.watch(late.append)
        pair.away.told("it is gone for good")
        assert late == ["it is gone for good"]

    pair.run(script)


def test_what_is_too_slow_several_times_rests() -> None:
    pair = Pair(budget=SOON)
    pair.away.gate = threading.Event()

    async def script(either: FallbackAssistant) -> None:
        for number in range(MISSES + 2):
            assert text(await ask(either, f"y = {number}\nx = ‸\n")) == "value - here"
        assert len(pair.away.jobs) == MISSES
        (sentence,) = pair.told
        assert sentence is not None and "takes longer than the 50 ms that engine.latencyBudgetMs allows" in sentence
        pair.now += REST
        await ask(either, "y = 5\nx = ‸\n")  # still too slow
        await ask(either, "y = 6\nx = ‸\n")
        assert len(pair.away.jobs) == MISSES + 1
        pair.now += REST
        assert pair.away.gate is not None
        pair.away.gate.set()
        either.configure(replace(pair.settings, engine_latency_budget_ms=LONG))
        assert text(await ask(either, "y = 7\nx = ‸\n")) == "value + away"
        assert pair.told == [sentence, None]

    pair.run(script, within=pair.held_is_late)


def test_an_answer_in_time_begins_the_count_anew() -> None:
    pair = Pair()

    async def script(either: FallbackAssistant) -> None:
        for number in range(2 * MISSES):
            pair.away.gate = threading.Event() if number % MISSES else None
            assert (await ask(either, f"y = {number}\nx = ‸\n")).figures.model == (
                "here" if number % MISSES else "away"
            )
        assert len(pair.away.jobs) == 2 * MISSES and pair.told == []

    pair.run(script, within=pair.held_is_late)


@pytest.mark.parametrize("shown_by", ["away", "here"])
def test_typing_through_stays_with_the_one_that_made_the_suggestion(shown_by: str) -> None:
    pair = Pair()

    async def script(either: FallbackAssistant) -> None:
        pair.away.told("it is gone" if shown_by == "here" else None)
        whole = text(await ask(either))
        assert whole.endswith(shown_by)
        pair.away.told(None if shown_by == "here" else "it is gone")
        for typed in ("v", "val", "value "):
            completion = await ask(either, f"x = {typed}‸\n")
            assert typed + text(completion) == whole and completion.figures.source == "reuse"
            assert completion.figures.model == shown_by
        other = await ask(either, "x = re‸\n")  # nothing of it is left
        assert other.figures.model != shown_by
        assert len(pair.away.jobs) == len(pair.here.jobs) == 1

    pair.run(script)


def test_an_accepted_suggestion_is_not_typed_through() -> None:
    pair = Pair()

    async def script(either: FallbackAssistant) -> None:
        pair.away.told("it is gone")
        await ask(either)
        either.accepted(URI)
        pair.away.told(None)
        assert (await ask(either, "x = v‸\n")).figures.model == "away"

    pair.run(script)


@pytest.mark.parametrize("gone", [False, True])
def test_candidates(gone: bool) -> None:
    pair = Pair(more={"candidates": 3})
    pair.away.error = BROKEN if gone else None

    async def script(either: FallbackAssistant) -> None:
        await ask(either, automatic=False)
        await ask(either, "y = 1\nx = ‸\n", candidates=2)
        jobs = pair.here.jobs if gone else pair.away.jobs
        assert [job.candidates for job in jobs] == [3, 2]

    pair.run(script)


@pytest.mark.parametrize("held", ["away", "here"])
def test_a_newer_request_ends_the_older_one_whoever_works_at_it(held: str) -> None:
    pair = Pair()
    slow: ByHeart = pair.away if held == "away" else pair.here
    slow.gate = threading.Event()

    async def script(either: FallbackAssistant) -> None:
        pair.away.told("it is gone" if held == "here" else None)
        older = asyncio.ensure_future(ask(either))
        await until(lambda: slow.jobs)
        pair.away.told(None if held == "here" else "it is gone")
        newer = await ask(either, "y = 1\nx = ‸\n", 2)
        assert newer.items
        assert await older == Completion(URI, 1, (), (await older).figures, superseded=True)
        assert (await older).figures.reason == SUPERSEDED
        await until(lambda: slow.cancelled == slow.jobs)

    pair.run(script)


def test_cancelling_reaches_the_engine_that_is_asked() -> None:
    pair = Pair()
    pair.away.gate = threading.Event()

    async def script(either: FallbackAssistant) -> None:
        asked = asyncio.ensure_future(ask(either))
        await until(lambda: pair.away.jobs)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await until(lambda: pair.away.cancelled == pair.away.jobs)
        assert pair.here.jobs == []

    pair.run(script)


def test_a_closed_document_is_forgotten_by_both_and_its_request_ends() -> None:
    pair = Pair()

    async def script(either: FallbackAssistant) -> None:
        await ask(either)
        pair.away.gate = threading.Event()
        asked = asyncio.ensure_future(ask(either, "y = 1\nx = ‸\n"))
        await until(lambda: len(pair.away.jobs) == 2)
        either.forget(URI)
        assert (await asked).figures.reason == SUPERSEDED
        assert URI in pair.away.released and URI in pair.here.released

    pair.run(script)


def test_settings_reach_both() -> None:
    pair = Pair()

    async def script(either: FallbackAssistant) -> None:
        either.configure(replace(pair.settings, cache_bytes=12345, enabled_languages=("go",)))
        assert pair.away.cache_bytes == pair.here.cache_bytes == 12345
        completion = await ask(either)
        assert completion.items == () and "off for the language" in (completion.figures.reason or "")
        assert pair.away.jobs == pair.here.jobs == []

    pair.run(script)


def test_a_wrong_place_is_refused_as_ever() -> None:
    async def script(either: FallbackAssistant) -> None:
        with pytest.raises(RequestError, match="outside"):
            await either.complete(Document.open(URI, "python", 1, "x"), 5)

    Pair().run(script)


@pytest.mark.parametrize("unable", ["first", "second"])
def test_a_layout_that_one_of_them_can_not_have_is_said(unable: str) -> None:
    plain = dialect({"<|endoftext|>": 0})
    settings = Settings(layout="spm", engine_latency_budget_ms=LONG)
    first, second = (
        Assistant(ByHeart(TOKENIZER, ""), TOKENIZER, plain if which == unable else DIALECT, settings)
        for which in ("first", "second")
    )
    either = FallbackAssistant(first, second, settings, lambda: first)
    assert either.problem is not None and "spm" in either.problem
    either.configure(replace(settings, layout="auto"))
    assert either.problem is None
    either.close()


def test_only_the_one_here_computes_ahead() -> None:
    pair = Pair()

    async def script(either: FallbackAssistant) -> None:
        pair.away.told("it is gone")
        await ask(either)
        pair.away.told(None)
        either.changed(*doc("y = 1\nx = ‸\n"))
        await until(lambda: pair.here.idle)
        assert pair.away.idle == []

    pair.run(script)


def test_an_engine_that_is_not_there_at_first_is_found_later() -> None:
    reached: list[str] = []

    def reach() -> Assistant:
        reached.append("")
        if len(reached) == 1:
            raise EngineError("still not there")
        if len(reached) == 2:
            raise SettingsError("it has another model now")
        return pair.first()

    pair = Pair(missing=EngineError("not there"), found=reach)

    async def script(either: FallbackAssistant) -> None:
        assert either.info == either.substitute == HERE and pair.told == ["not there"]
        assert text(await ask(either)) == "value - here" and reached == []
        for times, sentence in enumerate(["still not there", "it has another model now"], 1):
            pair.now += REST
            assert (await ask(either, f"y = {times}\nx = ‸\n")).figures.model == "here"
            await until(lambda sentence=sentence: pair.told[-1] == sentence)
            await ask(either, f"z = {times}\nx = ‸\n")
            assert len(reached) == times  # no more often
        pair.now += REST
        await ask(either)
        await until(lambda: pair.told[-1] is None)
        assert text(await ask(either, "a = 1\nx = ‸\n")) == "value + away"
        assert either.info == AWAY
        pair.away.told("gone again")
        assert pair.told[-1] == "gone again"

    pair.run(script)


def test_an_engine_that_is_found_too_late_is_closed() -> None:
    gate = threading.Event()

    def reach() -> Assistant:
        assert gate.wait(20)
        return pair.first()

    pair = Pair(missing=EngineError("not there"), found=reach)

    async def script(either: FallbackAssistant) -> None:
        pair.now += REST
        await ask(either)
        either.close()
        gate.set()
        await until(lambda: pair.away.closed)
        assert either.remote is None

    pair.run(script)
