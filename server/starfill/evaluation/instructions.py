"""Files of instructions, in the format of WizardCoder's repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starfill.errors import RequestError
from starfill.evaluation.ask import Answer, AnsweringModel
from starfill.evaluation.jsonl import read, text_of
from starfill.evaluation.prompts import instruction
from starfill.evaluation.work import Item


@dataclass(frozen=True, slots=True)
class AskedInstruction:
    """idx: its name in the output. given: the code that it is about, or "". place: FILE:LINE."""

    idx: int | str
    text: str
    given: str
    place: str


def read_instructions(path: Path) -> list[AskedInstruction]:
    """Lines {"idx", "Instruction"}; also "instruction", and "input". The idx of a line without one is its number.

    Raises RequestError naming the line and the field, also for an idx that occurs twice.
    """
    found: dict[int | str, AskedInstruction] = {}
    for number, (place, record) in enumerate(read(path)):
        idx = record.get("idx", record.get("id", number))
        if isinstance(idx, bool) or not isinstance(idx, (int, str)):
            raise RequestError(f'{place}: "idx" must be a number or text')
        if idx in found:
            raise RequestError(f'{place}: "idx" {idx} stands in {found[idx].place} already')
        text = text_of(record, "Instruction" if "Instruction" in record else "instruction", place)
        given = text_of(record, "input", place) if record.get("input") else ""
        found[idx] = AskedInstruction(idx, text, given, place)
    return list(found.values())


def items(model: AnsweringModel, instructions: Sequence[AskedInstruction], max_new_tokens: int) -> list[Item]:
    """What to ask, and the records to write. Raises RequestError for an instruction that is too long."""
    return [_item(model, each, max_new_tokens) for each in instructions]


def _item(model: AnsweringModel, asked: AskedInstruction, max_new_tokens: int) -> Item:
    def fields(answer: Answer) -> dict[str, str | bool]:
        return {"instruction": asked.text, "output": answer.text.strip(), "cut_off": answer.cut_off}

    question = instruction(model, asked.text, asked.given, max_new_tokens, asked.place)
    return Item({"idx": asked.idx}, question, fields)
