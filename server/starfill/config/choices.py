"""Names that can be chosen and that several rooms know: the one list of each."""

from __future__ import annotations

from enum import Enum

FAMILY_NAMES = (
    "starfill",
    "starcoder",
    "starcoder2",
    "santacoder",
    "wizardcoder",
    "wizardcoder-python",
    "codellama",
    "codellama-70b",
    "llama",
    "deepseek-coder",
    "qwen2.5-coder",
    "codegemma",
    "granite",
    "codestral",
    "plain",
)
"""The families of models, each a row in assist/prompts/families.py."""


class Layout(str, Enum):
    """The order of prefix P, suffix S and the text typed since the anchor; see assist/completion/fim_prompt.py."""

    ANCHORED_PSM = "anchored-psm"
    PSM = "psm"
    SPM = "spm"
    PREFIX = "prefix"
