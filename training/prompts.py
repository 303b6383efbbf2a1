"""Instruction files as prompts and responses, in the template that the server uses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from starfill.assist.instruct.prompt import with_code
from starfill.assist.prompts.chat_templates import ALPACA


@dataclass(frozen=True)
class Turn:
    """What the model is given, and what it should answer, white space at the beginning included."""

    prompt: str
    response: str


def alpaca(instruction: str, given: str = "") -> str:
    """The prompt of an instruction about some code, as the server sends it."""
    return ALPACA.text.replace("{instruction}", with_code(instruction, given))


def read_turns(path: Path) -> list[Turn]:
    """A JSONL file of {"instruction", "input"?, "output"}; other fields are passed over."""
    turns = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                prompt = alpaca(entry["instruction"], entry.get("input") or "")
                turns.append(Turn(prompt, "\n" + entry["output"]))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SystemExit(
                    f'{path}, line {number}: expected {{"instruction": ..., "input"?: ..., "output": ...}} as JSON'
                ) from error
    if not turns:
        raise SystemExit(f"{path} holds no instructions")
    return turns
