"""A remote engine with a local one behind it: requests, settings, and reconnecting."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from assist.completion.fallback.two_engines import (
    AWAY,
    BROKEN,
    DIALECT,
    HERE,
    LONG,
    TOKENIZER,
    URI,
    Pair,
    ask,
    text,
    until,
)
from assist.toy import ByHeart, dialect, doc
from starfill.assist.completion.assistant import SUPERSEDED, Assistant
from starfill.assist.completion.fallback import REST, FallbackAssistant
from starfill.assist.completion.result import Completion
from starfill.config.settings import Settings
from starfill.errors import EngineError, RequestError, SettingsError
from starfill.text.document import Document


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
