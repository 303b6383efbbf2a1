"""The families, each with the prompts that it was trained on.

Sources: the models' cards, papers and reference code. SPM is given only where a family was trained with it, in that
family's own variant. To add a family: a row here, a sign in `detect` and a name in `config/choices.py`.
"""

from __future__ import annotations

from dataclasses import replace

from starfill.assist.prompts.chat_templates import (
    ALPACA,
    ALPACA_BUNDLED,
    CHATML,
    CODELLAMA_70B_CHAT,
    DEEPSEEK_CHAT,
    DEEPSEEK_V2_CHAT,
    GEMMA_CHAT,
    GRANITE_3_CHAT,
    GRANITE_CODE_CHAT,
    LLAMA_2,
    MISTRAL_CHAT,
    STARCODER2_CHAT,
)
from starfill.assist.prompts.family import Family
from starfill.config.choices import FAMILY_NAMES

_STARCODER_SENTINELS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
_PIPED_SENTINELS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
_STARCODER_PSM = "<fim_prefix>{header}{prefix}<fim_suffix>{suffix}<fim_middle>{typed}"
_STARCODER_SPM = "<fim_prefix><fim_suffix>{suffix}<fim_middle>{header}{text}"
_PIPED_PSM = "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>{typed}"

STARFILL = Family(  # the bundled model; training/samples.py says what it has seen
    name="starfill",
    sentinels=_STARCODER_SENTINELS,
    psm="{header}<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>{typed}",
    spm="{header}<fim_prefix><fim_suffix>{suffix}<fim_middle>{text}",
    spm_first=True,
    alone="{header}{text}",
    header="<filename>{path}\n",
    header_control="<filename>",
    ends=("<|endoftext|>",),
    instruct=(ALPACA_BUNDLED,),
)
# in training, metadata stood before the code when a file was cut in three, so it is part of the prefix
STARCODER = Family(
    name="starcoder",
    sentinels=_STARCODER_SENTINELS,
    psm=_STARCODER_PSM,
    spm=_STARCODER_SPM,
    alone="{header}{text}",
    header="<filename>{path}\n",
    header_control="<filename>",
    ends=("<|endoftext|>",),
)
WIZARDCODER = Family(
    name="wizardcoder",
    sentinels=_STARCODER_SENTINELS,
    psm=_STARCODER_PSM.replace("{header}", ""),
    spm=_STARCODER_SPM.replace("{header}", ""),
    ends=("<|endoftext|>",),
    instruct=(ALPACA,),
)
SANTACODER = Family(
    name="santacoder",
    sentinels=("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    psm="<fim-prefix>{prefix}<fim-suffix>{suffix}<fim-middle>{typed}",
    spm="<fim-prefix><fim-suffix>{suffix}<fim-middle>{text}",
    ends=("<|endoftext|>",),
)
STARCODER2 = Family(  # every file began with <file_sep>, with its path or without (paper, section 5.1)
    name="starcoder2",
    sentinels=_STARCODER_SENTINELS,
    psm="<file_sep>" + _STARCODER_PSM,
    spm="<file_sep>" + _STARCODER_SPM,
    alone="<file_sep>{header}{text}",
    header="{path}\n",
    controls=("<file_sep>",),
    ends=("<|endoftext|>", "<file_sep>"),
    instruct=(STARCODER2_CHAT,),
)
GRANITE = Family(
    name="granite",
    sentinels=_STARCODER_SENTINELS,
    psm=_STARCODER_PSM.replace("{header}", ""),
    spm=_STARCODER_SPM.replace("{header}", ""),
    ends=("<|endoftext|>",),
    instruct=(GRANITE_CODE_CHAT, GRANITE_3_CHAT),
)
CODELLAMA = Family(  # 7B and 13B, base and Instruct; the variants of its reference code's infilling_prompt_tokens
    name="codellama",
    sentinels=("▁<PRE>", "▁<SUF>", "▁<MID>"),
    psm="▁<PRE>{prefix}▁<SUF>{suffix}▁<MID>{typed}",
    spm="▁<PRE>▁<SUF>{suffix}▁<MID>{text}",
    bos="<s>",
    ends=("▁<EOT>", "</s>"),
    instruct=(LLAMA_2,),
)
CODELLAMA_70B = Family(
    name="codellama-70b",
    controls=("<step>",),
    bos="<s>",
    ends=("<step>", "</s>"),
    instruct=(CODELLAMA_70B_CHAT,),
)
LLAMA = Family(name="llama", bos="<s>", ends=("</s>",), instruct=(LLAMA_2,))  # CodeLlama 34B and Python, Llama 2
WIZARDCODER_PYTHON = Family(name="wizardcoder-python", bos="<s>", ends=("</s>",), instruct=(ALPACA,))
DEEPSEEK = Family(
    name="deepseek-coder",
    sentinels=("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    psm="<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>{typed}",
    bos="<｜begin▁of▁sentence｜>",
    ends=("<｜end▁of▁sentence｜>",),
    instruct=(DEEPSEEK_CHAT, DEEPSEEK_V2_CHAT),
)
QWEN = Family(
    name="qwen2.5-coder",
    sentinels=_PIPED_SENTINELS,
    psm=_PIPED_PSM,
    ends=("<|endoftext|>",),
    instruct=(CHATML,),
)
CODEGEMMA = Family(
    name="codegemma",
    sentinels=_PIPED_SENTINELS,
    psm=_PIPED_PSM,
    bos="<bos>",
    ends=("<eos>", "<|file_separator|>"),
    instruct=(GEMMA_CHAT,),
)
CODESTRAL = Family(
    name="codestral",
    sentinels=("[SUFFIX]", "[PREFIX]"),
    spm="[SUFFIX]{suffix}[PREFIX]{text}",
    bos="<s>",
    ends=("</s>",),
    instruct=(MISTRAL_CHAT,),
)
PLAIN = Family(  # any other model that completes text
    name="plain",
    instruct=(CHATML, LLAMA_2, replace(ALPACA, mark="### Instruction:")),
)

_ROWS = {row.name: row for row in tuple(globals().values()) if isinstance(row, Family)}
FAMILIES = {name: _ROWS[name] for name in FAMILY_NAMES}
"""All of the above, by the names that the settings know."""
