"""The suggestion after the one that is shown is computed before that is accepted."""

from __future__ import annotations

import threading

import pytest

from assist.completion.ahead.idle_time import DIALECT, MIDDLE, TOKENIZER, idle_jobs, model, run, typed
from assist.toy import ByHeart, Pauses, doc
from starfill.assist.completion.assistant import Assistant
from starfill.config.settings import Settings
from starfill.jobs import Finish, Job, Priority
from starfill.text.position import Edit


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
