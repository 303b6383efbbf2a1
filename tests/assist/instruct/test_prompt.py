"""Instructions in the words of the models' cards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assist.checkpoints import CHECKPOINTS
from assist.toy import common_prefix
from starfill.assist.instruct.prompt import instruction_ids, with_code
from starfill.assist.prompts.chat_templates import CODELLAMA_70B_CHAT
from starfill.assist.prompts.families import FAMILIES
from starfill.assist.prompts.template import Field, cut, fill
from tiny_tokenizers import written


def test_codellama_70b_as_its_card_builds_it() -> None:
    chat = [
        {"role": "system", "content": "System prompt    "},
        {"role": "user", "content": "First user query"},
    ]
    output = "<s>"
    for m in chat:
        output += f"Source: {m['role']}\n\n {m['content'].strip()}"
        output += " <step> "
    output += "Source: assistant\nDestination: user\n\n "
    text = CODELLAMA_70B_CHAT.text.replace("{system}", "System prompt").replace("{instruction}", "First user query")
    assert (
        "<s>" + text
        == output
        == (
            "<s>Source: system\n\n System prompt <step> Source: user\n\n First user query <step> "
            "Source: assistant\nDestination: user\n\n "
        )
    )


def test_codellama_70b_in_tokens_as_its_card_lists_them() -> None:
    """[1, ▁Source, :, ▁system, \\n, \\n, ▁System, ▁prompt, <step>, ▁Source, ..., \\n, \\n, ▁]."""
    checkpoint = CHECKPOINTS["codellama-70b"]
    tokenizer, dialect = checkpoint.tokenizer, checkpoint.dialect()
    spoken = replace(dialect, instruct=replace(dialect.instruct, system="System prompt    "))
    ids = list(instruction_ids(tokenizer, spoken, "  First user query\n"))
    step, bos = tokenizer.special["<step>"], tokenizer.special["<s>"]
    first, second = (place for place, id in enumerate(ids) if id == step)
    assert ids[0] == bos and ids.count(bos) == 1
    assert ids[1:first] == tokenizer.encode(" Source: system\n\n System prompt")
    assert ids[first + 1 : second] == tokenizer.encode(" Source: user\n\n First user query")
    assert ids[second + 1 :] == tokenizer.encode(" Source: assistant\nDestination: user\n\n ")
    assert tokenizer.token_bytes[ids[-1]] == b" "


def test_wizardcoder_as_its_card_prints_it() -> None:
    card = (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request."
        "\n\n### Instruction:\n{instruction}\n\n### Response:"
    )
    for family in ("wizardcoder", "wizardcoder-python", "starfill"):
        (form,) = FAMILIES[family].instruct
        assert form.text == card


def test_code_stands_fenced_above_the_instruction() -> None:
    checkpoint = CHECKPOINTS["wizardcoder"]
    ids = instruction_ids(checkpoint.tokenizer, checkpoint.dialect(), "Explain this.", "x = 1\ny = 2", "lua")
    shown = written(checkpoint.tokenizer, ids)
    assert "### Instruction:\n```lua\nx = 1\ny = 2\n```\n\nExplain this.\n\n### Response:" in shown


@pytest.mark.parametrize("family", ["wizardcoder", "codellama-70b", "qwen2.5-coder", "codestral", "granite"])
def test_a_second_instruction_shares_the_code_with_the_first(family: str) -> None:
    checkpoint = CHECKPOINTS[family]
    dialect = checkpoint.dialect()
    code = "def f(value):\n    return value + 1"
    one, other = (instruction_ids(checkpoint.tokenizer, dialect, text, code) for text in ("Explain.", "Do it."))
    shared = written(checkpoint.tokenizer, one[: common_prefix(one, other)])
    assert "return value + 1\n```" in shared


@pytest.mark.parametrize(
    ("given", "fence"),
    [("x = 1", "```"), ("a ``` b", "```"), ("text\n```\nx\n```", "````"), ("`````md\n`````", "``````")],
)
def test_a_fence_is_longer_than_those_in_the_code(given: str, fence: str) -> None:
    assert with_code("Do.", given) == f"{fence}python\n{given}\n{fence}\n\nDo."
    assert with_code("Do.", "") == "Do."


def test_white_space_around_an_instruction_stays_where_the_card_keeps_it() -> None:
    for family, kept in (("wizardcoder", True), ("codellama-70b", False), ("codellama", False)):
        checkpoint = CHECKPOINTS[family]
        ids = instruction_ids(checkpoint.tokenizer, checkpoint.dialect(), "  Do.\n")
        assert ("  Do.\n" in written(checkpoint.tokenizer, ids)) is kept


def test_templates_are_cut_before_they_are_filled() -> None:
    controls = {"<s>": 1, " <step>": 2}
    assert cut("<s>a {b} <step> c", controls) == (1, "a ", Field("b"), 2, " c")
    assert cut("{b}", {}) == (Field("b"),) and cut("", controls) == ()
    tokenizer = CHECKPOINTS["codellama"].tokenizer
    ids = fill(cut("a {b} <step> c", controls), {"b": "{b} <step>"}, tokenizer)
    assert ids == (*tokenizer.encode(" a {b} <step>"), 2, *tokenizer.encode(" c"))
