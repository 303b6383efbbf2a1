"""The family of a checkpoint, from what its files say."""

from __future__ import annotations

from typing import Any

import pytest

from assist.checkpoints import (
    ALPACA_CHAT,
    BUNDLED,
    CHATML_CHAT,
    CHECKPOINTS,
    CODELLAMA,
    CODELLAMA_70B_CHAT,
    DEEPSEEK,
    GRANITE_3,
    GRANITE_3_CHAT,
    GRANITE_CHAT,
    LLAMA,
    LLAMA_2_CHAT,
    MISTRAL,
    QWEN,
    STARCODER,
    Checkpoint,
)
from starfill.assist.prompts import chat_templates
from starfill.assist.prompts.chat_templates import DIALOGUE
from starfill.assist.prompts.detect import detect
from starfill.assist.prompts.families import FAMILIES
from starfill.assist.prompts.family import Identity, Instruct
from starfill.config.choices import Layout
from starfill.errors import CheckpointError

CODE_LLAMA = Checkpoint("prepend", CODELLAMA, "llama", "model")
STARCODER_1B = Checkpoint("digits", STARCODER, "gpt_bigcode", "starcoderbase-1b")
PLAIN_LLAMA = Checkpoint("prepend", LLAMA, "llama", "model")
QWEN_BASE = Checkpoint("qwen", QWEN, "qwen2", "Qwen2.5-Coder-1.5B")
DEEPSEEK_BASE = Checkpoint("deepseek", DEEPSEEK, "llama", "deepseek-coder-1.3b-base")

FOUND: list[tuple[Checkpoint, str, Instruct]] = [
    (BUNDLED, "starfill", chat_templates.ALPACA_BUNDLED),
    (BUNDLED.but(declared=None), "starcoder", DIALOGUE),
    (STARCODER_1B, "starcoder", DIALOGUE),
    (STARCODER_1B.but(name="WizardCoder-1B-V1.0"), "wizardcoder", chat_templates.ALPACA),
    (STARCODER_1B.but(special=(*STARCODER, "[PAD]"), name="model"), "wizardcoder", chat_templates.ALPACA),
    (STARCODER_1B.but(chat=ALPACA_CHAT), "wizardcoder", chat_templates.ALPACA),
    (STARCODER_1B.but(architecture="llama", name="granite-3b-code-base"), "granite", DIALOGUE),
    (STARCODER_1B.but(name="granite-20b-code-base"), "granite", DIALOGUE),
    (STARCODER_1B.but(name="m", chat=GRANITE_CHAT), "granite", chat_templates.GRANITE_CODE_CHAT),
    (STARCODER_1B.but(name="granite-20b-code-instruct"), "granite", chat_templates.GRANITE_CODE_CHAT),
    (
        STARCODER_1B.but(architecture="granite", special=GRANITE_3, chat=GRANITE_3_CHAT),
        "granite",
        chat_templates.GRANITE_3_CHAT,
    ),
    (CODE_LLAMA, "codellama", DIALOGUE),
    (CODE_LLAMA.but(name="CodeLlama-7B-Instruct-GPTQ"), "codellama", chat_templates.LLAMA_2),
    (CODE_LLAMA.but(chat=LLAMA_2_CHAT), "codellama", chat_templates.LLAMA_2),
    (CODE_LLAMA.but(special=(*CODELLAMA, "<step>")), "codellama-70b", DIALOGUE),
    (
        CODE_LLAMA.but(special=(*CODELLAMA, "<step>"), chat=CODELLAMA_70B_CHAT),
        "codellama-70b",
        chat_templates.CODELLAMA_70B_CHAT,
    ),
    (
        CODE_LLAMA.but(special=(*CODELLAMA, "<step>"), name="CodeLlama-70B-Instruct-GPTQ"),
        "codellama-70b",
        chat_templates.CODELLAMA_70B_CHAT,
    ),
    (PLAIN_LLAMA, "llama", DIALOGUE),
    (PLAIN_LLAMA.but(name="CodeLlama-34b-Python-hf"), "llama", DIALOGUE),
    (PLAIN_LLAMA.but(chat=LLAMA_2_CHAT), "llama", chat_templates.LLAMA_2),
    (PLAIN_LLAMA.but(name="WizardCoder-Python-34B-V1.0"), "wizardcoder-python", chat_templates.ALPACA),
    (PLAIN_LLAMA.but(special=(*LLAMA, "[PAD]")), "wizardcoder-python", chat_templates.ALPACA),
    (PLAIN_LLAMA.but(chat=ALPACA_CHAT), "wizardcoder-python", chat_templates.ALPACA),
    (PLAIN_LLAMA.but(special=MISTRAL, architecture="mistral"), "codestral", chat_templates.MISTRAL_CHAT),
    (PLAIN_LLAMA.but(architecture="mistral", chat=LLAMA_2_CHAT), "plain", chat_templates.LLAMA_2),
    (DEEPSEEK_BASE, "deepseek-coder", DIALOGUE),
    (DEEPSEEK_BASE.but(chat="{{ 'User: ' + message }}"), "deepseek-coder", chat_templates.DEEPSEEK_V2_CHAT),
    (DEEPSEEK_BASE.but(name="deepseek-coder-33b-instruct"), "deepseek-coder", chat_templates.DEEPSEEK_CHAT),
    (QWEN_BASE, "qwen2.5-coder", DIALOGUE),
    (QWEN_BASE.but(chat=CHATML_CHAT), "qwen2.5-coder", chat_templates.CHATML),
    (CHECKPOINTS["codegemma"].but(chat=None, name="codegemma-2b"), "codegemma", DIALOGUE),
    (CHECKPOINTS["codegemma"].but(chat=None, name="codegemma-1.1-7b-it-GPTQ"), "codegemma", chat_templates.GEMMA_CHAT),
    (CHECKPOINTS["starcoder2"].but(chat=None, name="starcoder2-3b"), "starcoder2", DIALOGUE),
    (CHECKPOINTS["plain"], "plain", DIALOGUE),
    (
        CHECKPOINTS["plain"].but(special=("<|im_start|>", "<|im_end|>"), chat=CHATML_CHAT),
        "plain",
        chat_templates.CHATML,
    ),
]


@pytest.mark.parametrize(("checkpoint", "family", "form"), FOUND)
def test_detected(checkpoint: Checkpoint, family: str, form: Instruct) -> None:
    dialect = checkpoint.dialect()
    assert dialect.family.name == family
    assert dialect.instruct is form or dialect.instruct == form


def test_every_family_can_be_detected() -> None:
    assert {family for _, family, _ in FOUND} | {"santacoder"} == set(FAMILIES)
    assert CHECKPOINTS["santacoder"].dialect().family.name == "santacoder"


def test_the_setting_overrules_everything() -> None:
    assert BUNDLED.dialect("starcoder").family.name == "starcoder"
    assert CODE_LLAMA.dialect("llama").fim is None


@pytest.mark.parametrize(
    ("checkpoint", "chosen", "words"),
    [
        (STARCODER_1B, "starcoder2", ["starcoderbase-1b", "no special token <file_sep>,", "family starcoder2"]),
        (STARCODER_1B, "codellama", ["<s> or ▁<PRE> or ▁<SUF> or ▁<MID>"]),
        (PLAIN_LLAMA, "deepseek-coder", ["<｜begin▁of▁sentence｜>"]),
        (STARCODER_1B.but(special=STARCODER[:2]), "auto", ["<fim_suffix> or <fim_middle>"]),
        (CODE_LLAMA.but(special=(*LLAMA, "▁<PRE>", "▁<MID>")), "auto", ["no special token ▁<SUF>,"]),
        (QWEN_BASE.but(special=QWEN[3:], chat=CHATML_CHAT), "auto", ["<|im_start|> or <|im_end|>"]),
        (BUNDLED.but(declared="starfil"), "auto", ['"starfill_family" in config.json of bundled is "starfil"']),
    ],
)
def test_a_checkpoint_that_does_not_fit_its_family_is_refused(
    checkpoint: Checkpoint, chosen: str, words: list[str]
) -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.dialect(chosen)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_bos_and_eos_of_the_files() -> None:
    special = {"<|endoftext|>": 0, "<go>": 1}
    known: dict[str, Any] = {"architecture": "other", "special": special, "chat_template": None, "name": "m"}
    assert detect(Identity(**known)).bos is None
    dialect = detect(Identity(**known, bos="<go>", eos=frozenset({7})))
    assert dialect.bos == 1 and dialect.stop_ids == {0, 1, 7}
    starcoder = {token: id for id, token in enumerate(STARCODER)}
    assert detect(Identity(**{**known, "special": starcoder}, bos="<|endoftext|>")).bos is None  # known of them


def test_a_layout_that_the_family_does_not_know() -> None:
    dialect = DEEPSEEK_BASE.dialect()
    assert dialect.layout("auto") == (Layout.ANCHORED_PSM, None)
    assert dialect.layout("psm") == (Layout.PSM, None)
    layout, problem = dialect.layout("spm")
    assert layout is Layout.ANCHORED_PSM
    assert problem == (
        'The setting "starfill.layout" is "spm", but models of the family deepseek-coder know only "anchored-psm", '
        '"psm", "prefix"; "anchored-psm" is used.'
    )
