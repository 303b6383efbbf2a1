"""What the instructor refuses, and the sentence that the user gets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from assist.instruct.asked_code import AT, BETTER, DIALECT, METHOD, engine, instruct, refused, request
from assist.toy import ToyTokenizer
from starfill.assist.instruct.actions import ACTIONS
from starfill.assist.instruct.instruction_request import ESTIMATED
from starfill.assist.instruct.instructor import Instructor
from starfill.assist.instruct.outcome import Instruction
from starfill.config.settings import Settings
from starfill.text.position import Span

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
