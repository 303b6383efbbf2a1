"""The instructor over an engine that knows its answers by heart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from assist.instruct.asked_code import (
    BETTER,
    CODE,
    DIALECT,
    METHOD,
    TOKENIZER,
    URI,
    Answers,
    after,
    engine,
    instruct,
    placed,
    request,
    run,
)
from starfill.assist.instruct.actions import Action, Placement, custom_action
from starfill.assist.instruct.instructor import DOES_NOT_PARSE, Instructor
from starfill.jobs import Job, Priority
from starfill.text.position import Edit


@pytest.mark.parametrize(
    ("action", "answer", "expected"),
    [
        ("refactor", f"\n```python\n{BETTER}```", CODE.replace("value = 1\n        return value", "return 1")),
        ("fix", f"Sure:\n\n```\n{BETTER}```\nDone.", CODE.replace("value = 1\n        return value", "return 1")),
        (
            custom_action("Make it short."),
            f"```python\n{BETTER}```",
            CODE.replace("value = 1\n        return value", "return 1"),
        ),
        (
            placed(Placement.BEFORE),
            "```python\n# What f does.\n```",
            CODE.replace(METHOD, f"    # What f does.\n{METHOD}"),
        ),
        (
            placed(Placement.AFTER),
            f"```python\n{BETTER}```",
            CODE.replace(METHOD, f"{METHOD}\n    def f(self):\n        return 1"),
        ),
    ],
)
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_what_the_document_becomes(action: str | Action, answer: str, expected: str, eol: str) -> None:
    code = CODE.replace("\n", eol)
    outcome = instruct(answer, request(action, code, (code.index("value"),) * 2))
    assert after(outcome) == expected.replace("\n", eol)
    assert outcome.warning is None and outcome.figures.samples == 1
    assert outcome.instruction.document.slice(outcome.span.start, outcome.span.end) == METHOD.replace("\n", eol)


def test_the_edits_are_small() -> None:
    outcome = instruct(f"```python\n{BETTER}```", request())
    start = CODE.index("        value = 1")
    assert outcome.edits == (Edit(start, CODE.index("\n\n\nx"), "        return 1"),)
    assert outcome.text == "    def f(self):\n        return 1"


def test_explanations_and_tests_edit_nothing() -> None:
    outcome = instruct("\nReturns `1`.\n\n", request("explain"))
    assert (outcome.text, outcome.edits, outcome.warning) == ("Returns `1`.", (), None)
    outcome = instruct("```python\ndef test_f():\n    assert A().f() == 1\n```", request("tests"))
    assert (outcome.text, outcome.edits) == ("def test_f():\n    assert A().f() == 1\n", ())


def test_an_answer_ends_at_a_stop_text() -> None:
    assert instruct("Returns 1.\n### Instruction:\nMore", request("explain")).text == "Returns 1."


def test_what_the_model_is_asked() -> None:
    model = engine(f"```python\n{BETTER}```")

    async def script(instructor: Instructor) -> None:
        await instructor.instruct(request("fix", problem="value is useless"))
        (job,) = model.jobs
        dedented = "def f(self):\n    value = 1\n    return value"
        prompt = TOKENIZER.decode(job.ids)
        question = f"```python\n{dedented}\n```\n\nFix this problem in the code: value is useless\n\n### Response:"
        assert prompt.endswith(f"### Instruction:\n{question}")
        assert TOKENIZER.decode(job.draft) == f"```python\n{dedented}\n```"
        assert job.key == ("instruct", URI) and job.priority is Priority.INSTRUCTION
        assert job.sampling.temperature == 0 and job.candidates == 1 and job.stop_ids == DIALECT.stop_ids
        assert len(job.draft) < job.max_new_tokens < 3 * len(job.draft) + 200
        await instructor.instruct(request("explain", at=(0, 9)))
        assert TOKENIZER.decode(model.jobs[1].ids).count("import re") == 1
        assert model.jobs[1].draft == () and model.jobs[1].max_new_tokens == 512

    run(model, script)


def test_question_and_answer_stay_within_the_context() -> None:
    model = engine("Returns 1.", context=400)

    async def script(instructor: Instructor) -> None:
        await instructor.instruct(request("explain"))
        (job,) = model.jobs
        assert len(job.ids) + job.max_new_tokens == 400

    run(model, script)


def test_figures() -> None:
    async def script(instructor: Instructor) -> None:
        assert instructor.info.name == "toy" and not instructor.busy
        figures = (await instructor.instruct(request())).figures
        assert figures.prompt_tokens == figures.computed_tokens > 0 and figures.cached_tokens == 0
        assert figures.steps == figures.generated_tokens > 0 and figures.total_ms > 0
        assert figures.as_json()["promptTokens"] == figures.prompt_tokens
        again = (await instructor.instruct(request())).figures
        assert again.computed_tokens <= 1 and not instructor.busy

    run(engine(f"```python\n{BETTER}```"), script)


BROKEN = "```python\ndef f(self:\n    return 1\n```"


def second(answer: str) -> Callable[[Job], str]:
    """Broken for the likeliest sample, `answer` for another."""
    return lambda job: answer if job.sampling.temperature else BROKEN


@pytest.mark.parametrize(
    ("answers", "text", "warning"),
    [
        (second(f"```python\n{BETTER}```"), "    def f(self):\n        return 1", None),
        (second(BROKEN.replace("1", "2")), "    def f(self:\n        return 1", DOES_NOT_PARSE),
        (second(f"```python\n{METHOD}\n```"), "    def f(self:\n        return 1", DOES_NOT_PARSE),
        (second("I can't."), "    def f(self:\n        return 1", DOES_NOT_PARSE),
    ],
)
def test_what_does_not_parse_is_sampled_once_more(answers: Answers, text: str, warning: str | None) -> None:
    outcome = instruct(answers, request())
    assert (outcome.text, outcome.warning, outcome.figures.samples) == (text, warning, 2)
    assert outcome.figures.generated_tokens > len(BROKEN) / 2


def test_the_second_sample_is_always_the_same() -> None:
    model = engine(BROKEN)

    async def script(instructor: Instructor) -> None:
        for _ in range(2):
            await instructor.instruct(request())
        first, again = model.jobs[1].sampling, model.jobs[3].sampling
        assert first == again and first.seed is not None and 0 < first.temperature < 1
        assert len(model.jobs) == 4 and model.jobs[1].ids == model.jobs[0].ids

    run(model, script)


def test_tests_that_do_not_parse_are_marked() -> None:
    assert instruct("```python\ndef test_f(:\n```", request("tests")).warning == DOES_NOT_PARSE
    assert instruct("```lua\nf(\n```", request("tests", "x\n", (0, 1), language="cobol")).warning is None
