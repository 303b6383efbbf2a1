"""The life of a request: its text grows, a newer one supersedes it, it can be cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise

import pytest

from assist.instruct.asked_code import DIALECT, TOKENIZER, URI, engine, request, run
from assist.toy import ByHeart
from starfill.assist.instruct.answer_stream import REPORT_INTERVAL
from starfill.assist.instruct.instructor import ENDED, SUPERSEDED, Instructor
from starfill.assist.instruct.outcome import Outcome
from starfill.config.settings import Settings
from starfill.errors import RequestError
from starfill.jobs import Finish, Job


def test_the_text_grows_on_the_event_loop() -> None:
    seen: list[tuple[str, int]] = []
    thread = threading.get_ident()
    model = engine("\n" + "word " * 300 + "\n### Instr")

    async def script(instructor: Instructor) -> Outcome:
        def on_text(text: str, tokens: int) -> None:
            assert threading.get_ident() == thread
            seen.append((text, tokens))

        return await instructor.instruct(request("explain"), on_text)

    began = time.monotonic()
    run(model, script)
    assert seen and len(seen) <= 2 + (time.monotonic() - began) / REPORT_INTERVAL
    assert all(later[0].startswith(earlier[0]) and later[1] > earlier[1] for earlier, later in pairwise(seen))
    assert not any("#" in text or text.startswith("\n") for text, _ in seen)


def test_the_newest_action_wins() -> None:
    gate = threading.Event()
    model = engine("Returns 1.", gate)

    async def script(instructor: Instructor) -> None:
        older = asyncio.create_task(instructor.instruct(request("explain")))
        await model.asked(1)
        newer = asyncio.create_task(instructor.instruct(request("explain")))
        with pytest.raises(RequestError, match=SUPERSEDED):
            await older
        await model.asked(2)
        gate.set()
        assert (await newer).text == "Returns 1."
        assert model.cancelled == model.jobs[:1]

    run(model, script)


@pytest.mark.parametrize("end", ["forget", "close", "close in a thread"])
def test_closing_ends_an_action(end: str) -> None:
    model = engine("Returns 1.", threading.Event())

    async def script(instructor: Instructor) -> None:
        task = asyncio.create_task(instructor.instruct(request("explain")))
        await model.asked(1)
        if end == "forget":
            instructor.forget(URI)
            assert model.released == [("instruct", URI)]
        elif end == "close":
            instructor.close()
        else:
            threading.Thread(target=instructor.close).start()
        with pytest.raises(RequestError, match=ENDED):
            await task
        assert model.cancelled == model.jobs

    run(model, script)


def test_cancelling_the_task_stops_the_model() -> None:
    model = engine("Returns 1.", threading.Event())

    async def script(instructor: Instructor) -> None:
        task = asyncio.create_task(instructor.instruct(request("explain")))
        await model.asked(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert model.cancelled == model.jobs and not instructor.busy

    run(model, script)


def test_a_job_that_the_engine_ends_is_a_sentence() -> None:
    class Ending(ByHeart):
        def answer(self, job: Job, number: int, stopped: threading.Event) -> tuple[tuple[int, ...], Finish]:
            return (), Finish.CANCELLED

    async def script(instructor: Instructor) -> None:
        with pytest.raises(RequestError, match=ENDED):
            await instructor.instruct(request("explain"))

    run(Ending(TOKENIZER, ""), script)


def test_a_shared_engine_stays_open() -> None:
    for owns in (True, False):
        model = engine("")
        Instructor(model, TOKENIZER, DIALECT, Settings(), owns_engine=owns).close()
        assert model.closed is owns


def test_settings_reach_the_engine() -> None:
    model = engine("")

    async def script(instructor: Instructor) -> None:
        assert model.cache_bytes == 99
        instructor.configure(Settings(cache_bytes=1234))
        assert model.cache_bytes == 1234

    run(model, script, cache_bytes=99)
