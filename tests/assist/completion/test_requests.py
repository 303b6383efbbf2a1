"""The life of a request: a newer one supersedes it, it can be cancelled, an engine may fail."""

from __future__ import annotations

import asyncio
import threading

import pytest

from assist.completion.asked import DIALECT, URI, engine, run
from assist.toy import ToyTokenizer, doc
from starfill.assist.completion.assistant import SUPERSEDED, Assistant
from starfill.config.settings import Settings
from starfill.errors import RequestError
from starfill.jobs import Job
from starfill.text.document import Document


def test_the_newest_request_wins_and_the_older_answers_at_once() -> None:
    model = engine("x = value\n", gate=threading.Event())

    async def script(assistant: Assistant) -> None:
        older = asyncio.ensure_future(assistant.complete(*doc("x = ‸\n")))
        await model.asked()
        assert assistant.busy
        newer = asyncio.ensure_future(assistant.complete(*doc("x = v‸\n")))
        completion = await older
        assert completion.items == () and completion.superseded and completion.figures.reason == SUPERSEDED
        assert len(model.cancelled) == 1 and not newer.done()
        model.gate.set()
        assert (await newer).items[0].text == "alue"
        assert not (await newer).superseded and not assistant.busy

    run(model, script)


def test_many_at_once_leave_only_the_newest() -> None:
    model = engine("x = value\n")

    async def script(assistant: Assistant) -> None:
        marks = ["x = ‸\n", "x = v‸\n", "x = va‸\n", "x = val‸\n"]
        completions = await asyncio.gather(*(assistant.complete(*doc(marked)) for marked in marks))
        assert [len(each.items) for each in completions] == [0, 0, 0, 1]
        assert completions[-1].items[0].text == "ue"

    run(model, script)


def test_documents_do_not_supersede_each_other() -> None:
    async def script(assistant: Assistant) -> None:
        one, offset = doc("x = ‸\n")
        other = Document.open("file:///b.py", "python", 1, one.text)
        completions = await asyncio.gather(assistant.complete(one, offset), assistant.complete(other, offset))
        assert [len(each.items) for each in completions] == [1, 1]

    run(engine("x = value\n"), script)


def test_cancelling_stops_the_job() -> None:
    model = engine("x = value\n", gate=threading.Event())

    async def script(assistant: Assistant) -> None:
        request = asyncio.ensure_future(assistant.complete(*doc("x = ‸\n")))
        await model.asked()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert model.cancelled == model.jobs and not assistant.busy

    run(model, script)


def test_a_failing_engine_fails_the_request_and_nothing_else() -> None:
    def fail(job: Job) -> str:
        raise RuntimeError("out of memory")

    async def script(assistant: Assistant) -> None:
        with pytest.raises(RuntimeError, match="out of memory"):
            await assistant.complete(*doc("x = ‸\n"))
        assert not assistant.busy

    run(engine(fail), script)


def test_the_event_loop_does_not_wait_for_the_tokenizer() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    class WeightMemory(ToyTokenizer):
        def encode(self, text: str, *, start: bool = False) -> list[int]:
            begun.set()
            assert goes_on.wait(20), "nothing else happens meanwhile"
            return super().encode(text, start=start)

    async def script() -> None:
        assistant = Assistant(engine("x = value\n"), WeightMemory(), DIALECT, Settings())
        request = asyncio.ensure_future(assistant.complete(*doc("x = ‸\n")))
        assert await asyncio.to_thread(begun.wait, 20)
        assert not request.done()
        goes_on.set()
        assert (await request).items
        assistant.close()

    asyncio.run(script())


def test_a_position_outside_the_document_is_refused() -> None:
    async def script(assistant: Assistant) -> None:
        with pytest.raises(RequestError, match=r"Position 9 is outside of .* 5 characters"):
            await assistant.complete(Document.open(URI, "python", 1, "x = 1"), 9)

    run(engine(""), script)


def test_closing() -> None:
    model = engine("x = value\n", gate=threading.Event())

    async def script(assistant: Assistant) -> None:
        request = asyncio.ensure_future(assistant.complete(*doc("x = ‸\n")))
        await model.asked()
        assistant.forget(URI)
        assert (await request).items == () and (await request).superseded
        assert model.released == [URI]

    run(model, script)
    assert model.closed
