"""An instruction as the prompt that a model's family was tuned for."""

from __future__ import annotations

import re

from starfill.assist.prompts.family import Dialect
from starfill.assist.prompts.template import fill
from starfill.assist.prompts.tokenizer import Tokenizer

_FENCE = re.compile(r"^ {0,3}(`{3,})", re.MULTILINE)


def instruction_ids(
    tokenizer: Tokenizer, dialect: Dialect, instruction: str, given: str = "", language: str = "python"
) -> tuple[int, ...]:
    """The prompt for an instruction, control tokens as ids; the user's text never becomes one.

    given: the code that it is about, which stands beside it in a fenced block. language: what the fence says it is.
    """
    form = dialect.instruct
    asked = with_code(instruction, given, language)
    values = {"instruction": asked.strip() if form.strips else asked, "system": form.system.strip()}
    return fill(dialect.instruct_pieces, values, tokenizer, dialect.bos)


def with_code(instruction: str, given: str, language: str = "python") -> str:
    """An instruction behind the code that it is about, so that a second one on the same code finds it computed."""
    return f"{fenced(given, language)}\n\n{instruction}" if given else instruction


def fenced(code: str, language: str) -> str:
    """Code as a block of Markdown."""
    fence = max(("```", *(f"{mark}`" for mark in _FENCE.findall(code))), key=len)
    return f"{fence}{language}\n{code}\n{fence}"
