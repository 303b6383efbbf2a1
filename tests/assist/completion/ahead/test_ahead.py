"""Prompts are prefilled before the editor asks."""

from __future__ import annotations

import asyncio
import threading

import pytest

from assist.completion.ahead.idle_time import idle_jobs, model, run, typed
from assist.toy import ByHeart, Pauses, doc
from starfill.assist.completion.assistant import Assistant
from starfill.jobs import Priority
from starfill.text.document import Document


@pytest.mark.parametrize("layout", ["anchored-psm", "psm", "spm"])
def test_an_edit_computes_the_prompt_before_the_editor_asks(layout: str) -> None:
    engine = model("nothing of it")

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        await assistant.complete(*doc("import re\nx = ‸\nz = 1\n"))
        document, offset = typed(*doc("import re\nx = ‸\nz = 1\n"), "not ")
        assistant.changed(document, offset)
        (job,) = await idle_jobs(engine, pauses, 1)
        assert (job.max_new_tokens, job.priority, job.key) == (0, Priority.IDLE, document.uri)
        figures = (await assistant.complete(document, offset)).figures
        assert engine.jobs[-1].ids == job.ids
        assert (figures.cached_tokens, figures.source) == (figures.prompt_tokens, "model")

    run(engine, script, layout=layout)


def test_several_edits_compute_the_last_prompt_only() -> None:
    engine = model("nothing of it")

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        document, offset = doc("x = ‸\n")
        await assistant.complete(document, offset)
        for char in "not ":
            document, offset = typed(document, offset, char)
            assistant.changed(document, offset)
        (job,) = await idle_jobs(engine, pauses, 1)
        await assistant.complete(document, offset)
        assert engine.jobs[-1].ids == job.ids

    run(engine, script)


async def nothing_is_prepared(
    assistant: Assistant, pauses: Pauses, engine: ByHeart, document: Document, offset: int
) -> None:
    assistant.changed(document, offset)
    await pauses.end()
    assert not any(job.key == document.uri for job in engine.idle)


def test_a_document_in_which_nothing_was_asked_is_left_alone() -> None:
    engine = model("nothing of it")

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        await nothing_is_prepared(assistant, pauses, engine, *doc("x = ‸\n"))
        await assistant.complete(Document.open("file:///b.py", "python", 1, "x = 1\n"), 0)
        await nothing_is_prepared(assistant, pauses, engine, *doc("x = ‸\n"))

    run(engine, script)


def test_an_excluded_document_is_left_alone() -> None:
    engine = model()

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        await assistant.complete(*doc("x = ‸\n"))
        await nothing_is_prepared(assistant, pauses, engine, *doc("x = not ‸\n"))

    run(engine, script, excluded_globs=("*.py",))


def test_a_request_that_comes_at_once_needs_no_preparing() -> None:
    engine = model("nothing of it")

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        await assistant.complete(*doc("x = ‸\n"))
        document, offset = typed(*doc("x = ‸\n"), "not ")
        assistant.changed(document, offset)
        await assistant.complete(document, offset)
        await pauses.end()
        assert engine.idle == []

    run(engine, script)


def test_nothing_is_prepared_while_a_request_runs() -> None:
    engine = model()
    engine.gate = threading.Event()

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        request = asyncio.ensure_future(assistant.complete(*doc("x = ‸\n")))
        await engine.asked()
        await nothing_is_prepared(assistant, pauses, engine, *doc("x = not ‸\n"))
        assert engine.gate is not None
        engine.gate.set()
        await request

    run(engine, script)


def test_closing_a_document_ends_what_was_to_be_prepared() -> None:
    engine = model("nothing of it")

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        await assistant.complete(*doc("x = ‸\n"))
        assistant.changed(*typed(*doc("x = ‸\n"), "not "))
        assistant.forget("file:///a.py")
        await pauses.end()
        assert engine.idle == []

    run(engine, script)
