"""The instructor over an engine that knows its answers by heart."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from assist.toy import INFO, ByHeart, ToyTokenizer
from starfill.assist.instruct.actions import ACTIONS, Action, Placement, custom_action
from starfill.assist.instruct.answer_stream import REPORT_INTERVAL
from starfill.assist.instruct.instruction_request import ESTIMATED
from starfill.assist.instruct.instructor import DOES_NOT_PARSE, ENDED, SUPERSEDED, Instructor
from starfill.assist.instruct.outcome import Instruction, Outcome
from starfill.assist.prompts.detect import detect
from starfill.assist.prompts.family import Identity
from starfill.config.settings import Settings
from starfill.errors import RequestError
from starfill.jobs import Finish, Job, Priority
from starfill.text.document import Document, applied
from starfill.text.position import Edit, Span

TOKENIZER = ToyTokenizer()
DIALECT = detect(Identity("gpt_bigcode", TOKENIZER.special, None, "toy", declared="starfill"))
URI = "file:///a.py"
CODE = "import re\n\n\nclass A:\n    def f(self):\n        value = 1\n        return value\n\n\nx = 1\n"
METHOD = "    def f(self):\n        value = 1\n        return value"
AT = CODE.index("value")
Answers = str | Callable[[Job], str]


def engine(answer: Answers, gate: threading.Event | None = None, context: int = 4096) -> ByHeart:
    return ByHeart(TOKENIZER, answer, info=replace(INFO, context_length=context), gate=gate)


def run(model: ByHeart, script: Callable[[Instructor], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
    instructor = Instructor(model, TOKENIZER, DIALECT, Settings(**settings))
    try:
        return asyncio.run(asyncio.wait_for(script(instructor), 20))
    finally:
        instructor.close()


def request(
    action: str | Action = "refactor", code: str = CODE, at: tuple[int, int] = (AT, AT), **more: Any
) -> Instruction:
    document = Document.open(URI, more.pop("language", "python"), 3, code)
    return Instruction(document, Span(*at), ACTIONS[action] if isinstance(action, str) else action, **more)


def instruct(answer: Answers, asked: Instruction, **settings: Any) -> Outcome:
    async def script(instructor: Instructor) -> Outcome:
        return await instructor.instruct(asked)

    outcome: Outcome = run(engine(answer), script, **settings)
    return outcome


def refused(answer: Answers, asked: Instruction, context: int = 4096, **settings: Any) -> str:
    async def script(instructor: Instructor) -> str:
        with pytest.raises(RequestError) as caught:
            await instructor.instruct(asked)
        return str(caught.value)

    sentence: str = run(engine(answer, context=context), script, **settings)
    return sentence


def after(outcome: Outcome) -> str:
    return applied(outcome.instruction.document, outcome.edits).text


def placed(placement: Placement) -> Action:
    return Action("own", "own", "Do it.", "refactor", placement)


BETTER = "def f(self):\n    return 1\n"


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


LONG = "x = 1\n" * 400
ENDLESS = "".join(f"x{n} = {n * n}\n" for n in range(2000))
CIRCLE = "def f():\n" + "    x = x + 1\n" * 2000


@pytest.mark.parametrize(
    ("answer", "asked", "words"),
    [
        (f"```python\n{METHOD}\n```", request(), "suggests no change"),
        ("", request(), "has no code"),
        ("", request("explain"), "is empty"),
        (ENDLESS, request(), "was not finished after"),
        (ENDLESS, request("tests"), "was not finished after 512 tokens"),
        (CIRCLE, request(), "began to repeat itself"),
        ("", request(at=(0, 0)), "line 1 is in no function or class: select the code"),
        ("", request(at=(9, 11)), "only white space in the selection"),
        ("", request(language="cobol"), '"cobol"'),
        ("", request(code=LONG, at=(0, len(LONG))), "too long"),
    ],
)
def test_refusals(answer: str, asked: Instruction, words: str) -> None:
    assert words in refused(answer, asked)


def test_an_explanation_that_was_cut_says_so() -> None:
    outcome = instruct(ENDLESS, request("explain"))
    assert outcome.warning == "was cut off after 512 tokens" and outcome.text.startswith("x0 = 0\nx1 = 1")


def test_an_explanation_ends_where_it_goes_round_in_circles() -> None:
    outcome = instruct("It counts" + " and counts" * 1000, request("explain"))
    assert outcome.text == "It counts and"
    assert outcome.warning == "ends where the model began to repeat itself"
    assert outcome.figures.generated_tokens < 300


def test_a_rewrite_that_goes_round_in_circles_is_sampled_once_more() -> None:
    better = f"```python\n{BETTER}```"
    outcome = instruct(lambda job: better if job.sampling.temperature else CIRCLE, request())
    assert (outcome.text, outcome.figures.samples) == ("    def f(self):\n        return 1", 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"excluded_globs": ("a.py",)}, "excludedGlobs"),
        ({"enabled_languages": ("go",)}, "enabledLanguages"),
        ({"context_tokens": 256}, "room for 256: select less code, or choose a larger contextTokens (the model allows"),
    ],
)
def test_refusals_by_setting(settings: dict[str, Any], words: str) -> None:
    assert words in refused("", request(), **settings)


def test_too_long_names_both_numbers_and_the_remedy() -> None:
    sentence = refused("", request(), context=200)
    assert "room for 200" in sentence and "a model with a longer context" in sentence
    assert sentence.startswith("too long: the question takes ") and "or more" not in sentence


def test_the_quick_look() -> None:
    looked_at = 0

    class Counting(ToyTokenizer):
        def encode(self, text: str, *, start: bool = False) -> list[int]:
            nonlocal looked_at
            looked_at += len(text)
            return super().encode(text, start=start)

    async def script() -> None:
        nonlocal looked_at
        instructor = Instructor(model, Counting(), DIALECT, Settings())
        short, long = request(), request(code=LONG * 100)
        everything = Span(0, len(long.document))
        explain, refactor = ACTIONS["explain"], ACTIONS["refactor"]
        assert instructor.refusal(short.document, Span(AT, AT), refactor) is None
        looked_at = 0
        assert "too long" in (instructor.refusal(long.document, everything, explain) or "")
        assert looked_at <= ESTIMATED < len(long.document) / 10
        some = Span(0, 120)
        assert instructor.refusal(long.document, some, explain) is None
        assert "too long" in (instructor.refusal(long.document, some, refactor) or "")
        instructor.configure(Settings(excluded_globs=("*.py",)))
        assert "excludedGlobs" in (instructor.refusal(short.document, Span(AT, AT), explain) or "")
        instructor.close()

    model = engine("", context=210)
    asyncio.run(script())
    assert model.jobs == []


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
