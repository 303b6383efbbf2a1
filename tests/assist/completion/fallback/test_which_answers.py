"""A remote engine with a local one behind it: which of them answers, and which trouble is reported."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

from assist.completion.fallback.two_engines import AWAY, BROKEN, HERE, LONG, SOON, Pair, ask, text
from starfill.assist.completion.fallback import MISSES, REST, FallbackAssistant


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
