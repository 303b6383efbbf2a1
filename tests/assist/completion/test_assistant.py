"""The assistant over an engine that knows the answer by heart."""

from __future__ import annotations

import asyncio

import pytest

from assist.completion.asked import DIALECT, URI, applied, complete, engine, run
from assist.toy import INFO, ByHeart, ToyTokenizer, dialect, doc
from starfill.assist.completion.assistant import Assistant
from starfill.config.settings import Settings
from starfill.text.document import Document
from starfill.text.position import Edit

LAYOUTS = ["anchored-psm", "psm", "spm", "auto"]


CASES = [
    ("def f(value):\n    ret‸\n", "    return value\n", "def f(value):\n    return value\n"),
    ("def f(value):\n    return ‸\n", "    return value\n", "def f(value):\n    return value\n"),
    ("x = f(‸)\n", "x = f(value)\n", "x = f(value)\n"),
    ("x = '漢‸'\n", "x = '漢字 é 🦀'\n", "x = '漢字 é 🦀'\n"),
    ("def f():\r\n    ‸\r\n", "    x = 1\n    return x\n", "def f():\r\n    x = 1\r\n    return x\r\n"),
    ("‸", "import re", "import re"),
    (
        "# <fim_middle> <|endoftext|>\nx = ‸\n",
        "x = '<fim_middle>'\n",
        "# <fim_middle> <|endoftext|>\nx = '<fim_middle>'\n",
    ),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("marked", "middle", "expected"), CASES)
def test_completes(layout: str, marked: str, middle: str, expected: str) -> None:
    document, offset = doc(marked)
    before = document.slice(document.line_start(document.line_of(offset)), offset)
    rest = middle.removeprefix(before) if layout == "psm" else middle
    completion = complete(marked, rest, {"layout": layout})
    assert applied(marked, completion) == expected
    assert completion.figures.reason is None and completion.figures.source == "model"
    assert (completion.uri, completion.version) == (URI, 1)


def test_figures() -> None:
    async def script(assistant: Assistant) -> None:
        document, offset = doc("def f(value):\n    retu‸\n")
        assert not assistant.busy
        completion = await assistant.complete(document, offset)
        figures = completion.figures
        assert not completion.superseded and assistant.info is INFO
        assert figures.layout == "anchored-psm" and figures.total_ms > 0 and figures.prefill_ms == 1.0
        assert figures.prompt_tokens == figures.computed_tokens > 0 and figures.generated_tokens > 0
        assert figures.as_json()["promptTokens"] == figures.prompt_tokens
        assert assistant.context == 1024 and assistant.dialect is DIALECT and assistant.problem is None
        typed = document.replaced(offset, offset, "x")
        again = (await assistant.complete(typed, offset + 1)).figures
        assert again.computed_tokens <= 4 and again.cached_tokens + again.computed_tokens == again.prompt_tokens

    run(engine("    return value\n"), script)


def test_the_reason_for_nothing_can_be_looked_up() -> None:
    completion = complete("x = 1‸\n", "x = 1")
    assert completion.items == () and completion.figures.reason == "the model had nothing to add"
    off = complete("x = ‸\n", "x = 1", {"enabled_languages": ("go",)})
    assert "off for the language" in (off.figures.reason or "") and off.figures.source == "none"


def test_typing_through_asks_no_model() -> None:
    model = engine("x = value + result\n")

    async def script(assistant: Assistant) -> None:
        document, offset = doc("x = ‸\n")
        text = (await assistant.complete(document, offset)).items[0].text
        assert text == "value + result"
        for count in range(1, len(text)):
            now = document.replaced(offset, offset, text[:count])
            completion = await assistant.complete(now, offset + count)
            assert completion.items == (Edit(offset + count, offset + count, text[count:]),)
            assert completion.figures.source == "reuse" and completion.figures.computed_tokens == 0
        assert len(model.jobs) == 1
        await assistant.complete(document.replaced(offset, offset, text), offset + len(text))
        assert len(model.jobs) == 2

    run(model, script)


def test_after_accepting_nothing_is_reused() -> None:
    model = engine("x = value\n")

    async def script(assistant: Assistant) -> None:
        await assistant.complete(*doc("x = ‸\n"))
        assistant.accepted(URI)
        await assistant.complete(*doc("x = v‸\n"))
        assert len(model.jobs) == 2

    run(model, script)


def test_candidates_differ_and_come_in_order() -> None:
    model = engine("x = value\n")

    async def script(assistant: Assistant) -> None:
        completion = await assistant.complete(*doc("x = ‸\n"), automatic=False)
        assert [edit.text for edit in completion.items] == ["value"]
        job = model.jobs[-1]
        assert job.candidates == 3 and job.sampling.temperature > 0
        await assistant.complete(*doc("y = ‸\n"))
        assert model.jobs[-1].candidates == 1 and model.jobs[-1].sampling.temperature == 0
        await assistant.complete(*doc("y = ‸\n"), candidates=2)
        assert model.jobs[-1].candidates == 2

    run(model, script, candidates=3)


def test_limits() -> None:
    model = engine("x = value\n")

    async def script(assistant: Assistant) -> None:
        await assistant.complete(*doc("x =‸\n"))
        assert model.jobs[-1].max_new_tokens <= 51
        await assistant.complete(*doc("‸\n"))
        assert model.jobs[-1].max_new_tokens == 100
        long = Document.open(URI, "python", 1, "value = 1\n" * 3000)
        await assistant.complete(long, 15_000)
        assert len(model.jobs[-1].ids) <= 200 - 100
        assistant.configure(Settings(context_tokens=500, max_new_tokens=20, layout="spm", cache_bytes=1234))
        assert model.cache_bytes == 1234
        await assistant.complete(long, 15_000)
        assert 200 < len(model.jobs[-1].ids) <= 480

    run(model, script, context_tokens=200, max_new_tokens=200)


def test_a_text_cut_by_the_limit_shows_whole_lines() -> None:
    completion = complete("def f():\n    ‸\n", "    value = 1\n    result = 1234567890\n", {"max_new_tokens": 8})
    assert applied("def f():\n    ‸\n", completion) == "def f():\n    value = 1\n"


def test_a_model_that_cannot_fill_in_the_middle_completes_the_prefix() -> None:
    tokenizer = ToyTokenizer(special=("<|endoftext|>",))
    model = ByHeart(tokenizer, "    return value\n")

    async def script() -> None:
        assistant = Assistant(model, tokenizer, dialect(tokenizer.special), Settings())
        document, offset = doc("def f(value):\n    ret‸\n\n\nprint(f(1))\n")
        completion = await assistant.complete(document, offset)
        assert [edit.text for edit in completion.items] == ["urn value"]
        assert completion.figures.layout == "prefix"
        assert tokenizer.decode(model.jobs[-1].ids) == "def f(value):\n   "
        typed = document.replaced(offset, offset, "x")
        assert (await assistant.complete(typed, offset + 1)).figures.computed_tokens <= 4
        assert assistant.problem is None
        assistant.configure(Settings(layout="spm"))
        assert "know only" in str(assistant.problem) and (await assistant.complete(document, offset)).items
        assistant.close()

    asyncio.run(script())
