"""Each family's prompts, to the character: in every layout and for an instruction, written out in the table."""

from __future__ import annotations

import pytest

from assist.checkpoints import CHECKPOINTS
from assist.toy import common_prefix
from starfill.assist.completion.fim_prompt import Anchor, Setup, plan
from starfill.assist.instruct.prompt import instruction_ids
from starfill.assist.prompts import families
from starfill.assist.prompts.chat_templates import DIALOGUE
from starfill.assist.prompts.families import FAMILIES
from starfill.assist.prompts.family import Family
from starfill.config.choices import FAMILY_NAMES, Layout
from starfill.config.parse import FIELDS
from starfill.text.document import Document
from tiny_tokenizers import written

P, S = "import os\n\n\ndef f(value):\n", "\n\n\nprint(f(1))\n"
TYPED = "    return "  # its last space is healed, so it isn't part of the prompt
A, PSM, SPM, PREFIX = "anchored-psm", "psm", "spm", "prefix"
ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nWrite f.\n\n### Response:"
)
DEEPSEEK_SYSTEM = (
    "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you"
    " only answer questions related to computer science. For politically sensitive questions, security and privacy"
    " issues, and other non-computer science questions, you will refuse to answer\n"
)
STARCODER2_SYSTEM = (
    "You are an exceptionally intelligent coding assistant that consistently delivers accurate and reliable responses"
    " to user instructions.\n\n"
)
PATH = "«<filename>»pkg/mod.py\n"

# Special tokens stand between «»; the first layout is the default one. A space before P is sentencepiece's.
PROMPTS: dict[str, dict[str, str]] = {
    "starfill": {
        SPM: f"{PATH}«<fim_prefix>»«<fim_suffix>»{S}«<fim_middle>»{P}    return",
        A: f"{PATH}«<fim_prefix>»{P}«<fim_suffix>»{S}«<fim_middle>»    return",
        PSM: f"{PATH}«<fim_prefix>»{P}    return «<fim_suffix>»{S}«<fim_middle>»",
        PREFIX: f"{PATH}{P}    return",
    },
    "starcoder": {
        A: f"«<fim_prefix>»{PATH}{P}«<fim_suffix>»{S}«<fim_middle>»    return",
        PSM: f"«<fim_prefix>»{PATH}{P}    return «<fim_suffix>»{S}«<fim_middle>»",
        SPM: f"«<fim_prefix>»«<fim_suffix>»{S}«<fim_middle>»{PATH}{P}    return",
        PREFIX: f"{PATH}{P}    return",
    },
    "starcoder2": {
        A: f"«<file_sep>»«<fim_prefix>»pkg/mod.py\n{P}«<fim_suffix>»{S}«<fim_middle>»    return",
        PSM: f"«<file_sep>»«<fim_prefix>»pkg/mod.py\n{P}    return «<fim_suffix>»{S}«<fim_middle>»",
        SPM: f"«<file_sep>»«<fim_prefix>»«<fim_suffix>»{S}«<fim_middle>»pkg/mod.py\n{P}    return",
        PREFIX: f"«<file_sep>»pkg/mod.py\n{P}    return",
    },
    "santacoder": {
        A: f"«<fim-prefix>»{P}«<fim-suffix>»{S}«<fim-middle>»    return",
        PSM: f"«<fim-prefix>»{P}    return «<fim-suffix>»{S}«<fim-middle>»",
        SPM: f"«<fim-prefix>»«<fim-suffix>»{S}«<fim-middle>»{P}    return",
        PREFIX: f"{P}    return",
    },
    "wizardcoder": {
        A: f"«<fim_prefix>»{P}«<fim_suffix>»{S}«<fim_middle>»    return",
        PSM: f"«<fim_prefix>»{P}    return «<fim_suffix>»{S}«<fim_middle>»",
        SPM: f"«<fim_prefix>»«<fim_suffix>»{S}«<fim_middle>»{P}    return",
        PREFIX: f"{P}    return",
    },
    "wizardcoder-python": {PREFIX: f"«<s>» {P}    return"},
    "codellama": {
        A: f"«<s>»«▁<PRE>» {P}«▁<SUF>»{S}«▁<MID>»    return",
        PSM: f"«<s>»«▁<PRE>» {P}    return «▁<SUF>»{S}«▁<MID>»",
        SPM: f"«<s>»«▁<PRE>»«▁<SUF>»{S}«▁<MID>» {P}    return",
        PREFIX: f"«<s>» {P}    return",
    },
    "codellama-70b": {PREFIX: f"«<s>» {P}    return"},
    "llama": {PREFIX: f"«<s>» {P}    return"},
    "deepseek-coder": {
        A: f"«<｜begin▁of▁sentence｜>»«<｜fim▁begin｜>»{P}«<｜fim▁hole｜>»{S}«<｜fim▁end｜>»    return",
        PSM: f"«<｜begin▁of▁sentence｜>»«<｜fim▁begin｜>»{P}    return «<｜fim▁hole｜>»{S}«<｜fim▁end｜>»",
        PREFIX: f"«<｜begin▁of▁sentence｜>»{P}    return",
    },
    "qwen2.5-coder": {
        A: f"«<|fim_prefix|>»{P}«<|fim_suffix|>»{S}«<|fim_middle|>»    return",
        PSM: f"«<|fim_prefix|>»{P}    return «<|fim_suffix|>»{S}«<|fim_middle|>»",
        PREFIX: f"{P}    return",
    },
    "codegemma": {
        A: f"«<bos>»«<|fim_prefix|>»{P}«<|fim_suffix|>»{S}«<|fim_middle|>»    return",
        PSM: f"«<bos>»«<|fim_prefix|>»{P}    return «<|fim_suffix|>»{S}«<|fim_middle|>»",
        PREFIX: f"«<bos>»{P}    return",
    },
    "granite": {
        A: f"«<fim_prefix>»{P}«<fim_suffix>»{S}«<fim_middle>»    return",
        PSM: f"«<fim_prefix>»{P}    return «<fim_suffix>»{S}«<fim_middle>»",
        SPM: f"«<fim_prefix>»«<fim_suffix>»{S}«<fim_middle>»{P}    return",
        PREFIX: f"{P}    return",
    },
    "codestral": {
        SPM: f"«<s>»«[SUFFIX]»{S}«[PREFIX]» {P}    return",
        PREFIX: f"«<s>» {P}    return",
    },
    "plain": {PREFIX: f"{P}    return"},
}
INSTRUCTIONS = {
    "starfill": ALPACA,
    "starcoder": DIALOGUE.text.replace("{instruction}", "Write f."),
    "starcoder2": f"«<|endoftext|>»{STARCODER2_SYSTEM}### Instruction\nWrite f.\n\n### Response\n",
    "santacoder": DIALOGUE.text.replace("{instruction}", "Write f."),
    "wizardcoder": ALPACA,
    "wizardcoder-python": f"«<s>» {ALPACA}",
    "codellama": "«<s>» [INST] Write f. [/INST]",
    "codellama-70b": "«<s>» Source: system\n\n «<step>» Source: user\n\n Write f.«<step>» Source: assistant\n"
    "Destination: user\n\n ",
    "llama": "«<s>» [INST] Write f. [/INST]",
    "deepseek-coder": f"«<｜begin▁of▁sentence｜>»{DEEPSEEK_SYSTEM}### Instruction:\nWrite f.\n### Response:\n",
    "qwen2.5-coder": "«<|im_start|>»system\nYou are a helpful assistant.«<|im_end|>»\n"
    "«<|im_start|>»user\nWrite f.«<|im_end|>»\n«<|im_start|>»assistant\n",
    "codegemma": "«<bos>»«<start_of_turn>»user\nWrite f.«<end_of_turn>»\n«<start_of_turn>»model\n",
    "granite": "Question:\nWrite f.\n\nAnswer:\n",
    "codestral": "«<s>»«[INST]» Write f.«[/INST]»",
    "plain": DIALOGUE.text.replace("{instruction}", "Write f."),
}
ROWS = [(family, layout) for family, prompts in PROMPTS.items() for layout in prompts]


def setup(family: str, layout: Layout | None = None, context: int = 1024) -> Setup:
    checkpoint = CHECKPOINTS[family]
    dialect = checkpoint.dialect()
    return Setup(checkpoint.tokenizer, dialect, layout or next(iter(dialect.orders)), context, 64)


def opened(text: str) -> Document:
    return Document.open("file:///home/me/project/pkg/mod.py", "python", 1, text)


def test_every_family_is_here_and_can_be_set() -> None:
    assert PROMPTS.keys() == INSTRUCTIONS.keys() == CHECKPOINTS.keys() == FAMILIES.keys()
    words = FIELDS["family"].metadata["allowed"].words
    assert words == 'one of "auto", ' + ", ".join(f'"{name}"' for name in FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_layouts_of_a_family_the_best_one_first(family: str) -> None:
    dialect = CHECKPOINTS[family].dialect()
    assert dialect.family.name == family
    assert [layout.value for layout in dialect.orders] == list(PROMPTS[family])
    assert (dialect.fim is None) is (list(PROMPTS[family]) == [PREFIX])


@pytest.mark.parametrize(("family", "layout"), ROWS)
def test_prompt(family: str, layout: str) -> None:
    limits = setup(family, Layout(layout))
    prompt, _ = plan(opened(P + TYPED + S), len(P + TYPED), None, limits)
    assert written(limits.tokenizer, prompt.ids) == PROMPTS[family][layout]  # type: ignore[arg-type]
    assert prompt.dropped == (b"" if layout == PSM else b" ")


@pytest.mark.parametrize("family", FAMILIES)
def test_instruction(family: str) -> None:
    checkpoint = CHECKPOINTS[family]
    ids = instruction_ids(checkpoint.tokenizer, checkpoint.dialect(), "Write f.")
    assert written(checkpoint.tokenizer, ids) == INSTRUCTIONS[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_stops(family: str) -> None:
    checkpoint = CHECKPOINTS[family]
    dialect, special = checkpoint.dialect(), checkpoint.tokenizer.special
    assert dialect.stop_ids == set(special.values()) and set(checkpoint.special) <= special.keys()
    assert all(special[end] in dialect.stop_ids for end in dialect.family.ends if end in special)


LEAKS = {
    "starcoder": {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>"},
    "codellama": {"<PRE>", "<SUF>", "<MID>", "<EOT>"},
    "codestral": {"[SUFFIX]", "[PREFIX]"},
    "codellama-70b": set(),
    "starcoder2": {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>", "<file_sep>"},
    "wizardcoder-python": set(),
}


@pytest.mark.parametrize("family", LEAKS)
def test_control_tokens_that_a_model_may_write_as_text(family: str) -> None:
    assert set(CHECKPOINTS[family].dialect().leaks) == LEAKS[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_text_never_becomes_a_control_token(family: str) -> None:
    limits = setup(family)
    text = "".join(limits.tokenizer.special) + "{instruction}{prefix}{path}\n"
    prompt, _ = plan(opened(text * 2), len(text), None, limits)
    clean, _ = plan(opened("x\n" * 2), 2, None, limits)
    special = set(limits.tokenizer.special.values())
    assert sum(id in special for id in prompt.ids) == sum(id in special for id in clean.ids)
    plain = instruction_ids(limits.tokenizer, limits.dialect, "x")
    asked = instruction_ids(limits.tokenizer, limits.dialect, text, given=text)
    assert sum(id in special for id in asked) == sum(id in special for id in plain)
    assert "{instruction}{prefix}{path}" in written(limits.tokenizer, asked)  # type: ignore[arg-type]


SESSION = "    result = self.name(value, not None)  # returning é, printed\n    if result:\n        print(result)\n"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_typed_character_recomputes_few_tokens(family: str) -> None:
    """In each family's default layout; the tiny vocabularies spell é and such in bytes."""
    limits = setup(family)
    code = "".join(f"def f{number}(value):\n    return value + {number}\n\n\n" for number in range(200))
    offset = len(code) // 2 // 41 * 41
    document, anchor, before = opened(code), None, ()
    prompt, anchor = plan(document, offset, anchor, limits)
    kept: Anchor = anchor
    for char in SESSION:
        document, offset, before = document.replaced(offset, offset, char), offset + 1, prompt.ids
        prompt, anchor = plan(document, offset, anchor, limits)
        assert len(prompt.ids) - common_prefix(prompt.ids, before) <= 6
        assert len(prompt.ids) <= limits.context - limits.answer
    assert (anchor.prefix, anchor.suffix) == (kept.prefix, kept.suffix)


PATHS = {
    "file:///home/me/project/pkg/mod.py": "pkg/mod.py",
    "file:///mod.py": "mod.py",
    "file:///c%3A/my%20project/mod.py": "my project/mod.py",
    "file:///C:/mod.py": "mod.py",
    "untitled:Untitled-1": None,
    "file:///home/me/notebook.ipynb": None,
    "file:///": None,
    f"file:///home/{'x1' * 300}/mod.py": "mod.py",
    f"file:///home/{'x1' * 300}.py": None,
    "file:///a%0Ab/c.py": "c.py",
}


@pytest.mark.parametrize("uri", PATHS)
def test_path(uri: str) -> None:
    limits = setup("starcoder")
    prompt, _ = plan(Document.open(uri, "python", 1, "x = 1\n"), 6, None, limits)
    shown = written(limits.tokenizer, prompt.ids)  # type: ignore[arg-type]
    head = f"«<filename>»{PATHS[uri]}\n" if PATHS[uri] else ""
    assert shown.startswith(f"«<fim_prefix>»{head}x = 1\n«<fim_suffix>»")


def test_a_small_context_has_no_room_for_a_path() -> None:
    limits = setup("starcoder", context=128)
    prompt, _ = plan(opened("x = 1\n"), 6, None, limits)
    assert "filename" not in written(limits.tokenizer, prompt.ids)  # type: ignore[arg-type]
    assert limits.window > 30


def test_every_family_has_a_name_that_can_be_set() -> None:
    rows = [row for row in vars(families).values() if isinstance(row, Family)]
    assert {row.name for row in rows} == set(FAMILY_NAMES) and len(rows) == len(FAMILY_NAMES)
