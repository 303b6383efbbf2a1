"""The prompt for an instruction, in the form that the model's family was tuned for."""

from __future__ import annotations

import re

from starfill.assist.prompts.family import Dialect
from starfill.assist.prompts.template import fill
from starfill.assist.prompts.tokenizer import Tokenizer

_FENCE = re.compile(r"^ {0,3}(`{3,})", re.MULTILINE)


def instruction_ids(
    tokenizer: Tokenizer, dialect: Dialect, instruction: str, given: str = "", language: str = "python"
) -> tuple[int, ...]:
    """The prompt for an instruction. Control tokens are ids; the user's text never becomes one.

    given: the code that it is about, in a fenced block of the prompt. language: the block's language.
    """
    form = dialect.instruct
    asked = with_code(instruction, given, language)
    values = {"instruction": asked.strip() if form.strips else asked, "system": form.system.strip()}
    return fill(dialect.instruct_pieces, values, tokenizer, dialect.bos)


def with_code(instruction: str, given: str, language: str = "python") -> str:
    """The code first, then the instruction, so that a second instruction on the same code finds it in the prefix
    cache.
    """
    return f"{fenced(given, language)}\n\n{instruction}" if given else instruction


def fenced(code: str, language: str) -> str:
    """The code as a fenced block of Markdown."""
    fence = max(("```", *(f"{mark}`" for mark in _FENCE.findall(code))), key=len)
    return f"{fence}{language}\n{code}\n{fence}"
