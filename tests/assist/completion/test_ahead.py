"""What is prepared while nothing is asked: the prompt after an edit, and the suggestion after the one that is shown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from assist.toy import ByHeart, Pauses, ToyTokenizer, dialect, doc
from starfill.assist.completion.assistant import Assistant
from starfill.config.settings import Settings
from starfill.jobs import Finish, Job, Priority
from starfill.text.document import Document
from starfill.text.position import Edit

TOKENIZER = ToyTokenizer()
DIALECT = dialect(TOKENIZER.special)
MIDDLE = "x = value\ny = result\n"


Script = Callable[[Assistant, Pauses], Coroutine[Any, Any, Any]]


def run(model: ByHeart, script: Script, **settings: Any) -> None:
    pauses = Pauses()
    assistant = Assistant(model, TOKENIZER, DIALECT, Settings(multi_line="never", **settings), pause=pauses)
    try:
        asyncio.run(asyncio.wait_for(script(assistant, pauses), 20))
    finally:
        assistant.close()


def model(middle: str | Callable[[Job], str] = MIDDLE) -> ByHeart:
    return ByHeart(TOKENIZER, middle)


async def idle_jobs(engine: ByHeart, pauses: Pauses, count: int) -> list[Job]:
    """The idle jobs, once nothing has been asked for a moment and their answers have arrived."""
    await pauses.end()
    await asyncio.gather(*map(asyncio.wrap_future, engine.ahead))
    assert len(engine.idle) == count
    return engine.idle


def typed(document: Document, offset: int, text: str) -> tuple[Document, int]:
    return document.replaced(offset, offset, text, document.version + 1), offset + len(text)


# The prompt after an edit


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


# The suggestion after the one that is shown


def test_after_accepting_the_next_suggestion_is_there() -> None:
    engine = model("x = f(value, result)\n    y = 2\n")

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        document, offset = doc("x = ‸)\n")
        shown = await assistant.complete(document, offset)
        (edit,) = shown.items
        (job,) = await idle_jobs(engine, pauses, 1)
        assert job.priority is Priority.IDLE and job.max_new_tokens > 0
        after, offset = document.replaced(edit.start, edit.end, edit.text), edit.start + len(edit.text)
        assistant.changed(after, offset)
        assistant.accepted(document.uri)
        next_one = await assistant.complete(after, offset)
        assert next_one.figures.source == "prepared" and next_one.figures.computed_tokens == 0
        assert len(engine.jobs) == 1
        other = Assistant(model("x = f(value, result)\n    y = 2\n"), TOKENIZER, DIALECT, Settings(multi_line="never"))
        cold = await other.complete(after, offset)
        assert (next_one.items, next_one.figures.reason) == (cold.items, cold.figures.reason)
        other.close()

    run(engine, script)


BLOCK = "    x = value\n    return x\n"


def blockwise(layout: str, through: str) -> None:
    """Line after line of a block: accepted at once, or typed through."""
    engine = model(BLOCK)

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        document, offset = doc("def f(value):\n    x‸\n")
        (edit,) = (await assistant.complete(document, offset)).items
        assert edit.text == " = value"
        await idle_jobs(engine, pauses, 1)
        for piece in [edit.text] if through == "at once" else edit.text:
            document, offset = typed(document, offset, piece)
            assistant.changed(document, offset)
            figures = (await assistant.complete(document, offset)).figures
        assert figures.source == "prepared" and len(engine.jobs) == 1
        await pauses.end()
        assert all(job.max_new_tokens for job in engine.idle)  # no prompt of what was only typed through

    run(engine, script, layout=layout)


@pytest.mark.parametrize("layout", ["anchored-psm", "spm"])
@pytest.mark.parametrize("through", ["at once", "typed"])
def test_accepted_and_typed_through_are_the_same(layout: str, through: str) -> None:
    blockwise(layout, through)


def test_what_was_prepared_is_not_shown_for_anything_else() -> None:
    engine = model()

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        document, offset = doc("x = ‸\n")
        await assistant.complete(document, offset)
        await idle_jobs(engine, pauses, 1)
        completion = await assistant.complete(*typed(document, offset, "not "))
        assert completion.figures.source == "model" and len(engine.jobs) == 2

    run(engine, script)


def test_several_candidates_are_asked_for_anew() -> None:
    engine = model()

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        document, offset = doc("x = ‸\n")
        (edit,) = (await assistant.complete(document, offset)).items
        await idle_jobs(engine, pauses, 1)
        await assistant.complete(*typed(document, offset, edit.text), candidates=2)
        assert engine.jobs[-1].candidates == 2

    run(engine, script)


def test_new_settings_forget_what_was_prepared() -> None:
    engine = model()

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        document, offset = doc("x = ‸\n")
        (edit,) = (await assistant.complete(document, offset)).items
        await idle_jobs(engine, pauses, 1)
        assistant.configure(Settings(multi_line="never", max_new_tokens=3))
        completion = await assistant.complete(*typed(document, offset, edit.text))
        assert completion.figures.source == "model"

    run(engine, script)


def test_a_suggestion_after_which_the_window_moves_is_not_looked_beyond() -> None:
    """That prompt would have to be computed from the beginning, and the one that is being typed at with it."""
    engine = model(f"x = [{'1, 2, ' * 30}]\n")

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        await assistant.complete(*doc("y = 0\n" * 40 + "x = ‸\n" + "z = 1\n" * 40))
        await pauses.end()
        assert engine.jobs and engine.idle == []

    run(engine, script, context_tokens=400, max_new_tokens=60)


def test_what_is_not_finished_yet_is_the_draft_of_the_real_request() -> None:
    class Interrupted(ByHeart):
        def answer(self, job: Job, number: int, stopped: threading.Event) -> tuple[tuple[int, ...], Finish]:
            ids, finish = super().answer(job, number, stopped)
            return ids, Finish.CANCELLED if job.priority is Priority.IDLE else finish

    engine = Interrupted(TOKENIZER, MIDDLE)

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        document, offset = doc("x = ‸\n")
        (edit,) = (await assistant.complete(document, offset)).items
        prepared = await idle_jobs(engine, pauses, 1)
        (written,) = engine.ahead[-1].result().candidates
        completion = await assistant.complete(*typed(document, offset, edit.text))
        assert completion.figures.source == "model"
        assert written and engine.jobs[-1].draft == (*prepared[-1].ids[-3:], *written)

    run(engine, script)


def test_the_answer_before_is_the_draft_of_the_next() -> None:
    engine = model("x = value + result\n")

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        document, offset = doc("x = ‸\n")
        await assistant.complete(document, offset)
        assert engine.jobs[-1].draft == ()
        await assistant.complete(*typed(document, offset, "no"))
        first, second = engine.jobs
        assert TOKENIZER.decode(second.draft).endswith("value + result\n")
        assert second.draft[:3] == first.ids[-3:]

    run(engine, script)


def test_edits_of_reuse_are_not_computed_again() -> None:
    engine = model()

    async def script(assistant: Assistant, pauses: Pauses) -> None:
        document, offset = doc("x = ‸\n")
        await assistant.complete(document, offset)
        await idle_jobs(engine, pauses, 1)
        completion = await assistant.complete(*typed(document, offset, "val"))
        assert completion.items == (Edit(offset + 3, offset + 3, "ue"),)
        await idle_jobs(engine, pauses, 1)

    run(engine, script)
