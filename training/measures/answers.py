"""The bundled model's answers to the instructions of the held-out packages: is it Python, is it the known answer."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from instructions.build import REWRITES
from starfill.evaluation.ask import Answer, AnsweringModel
from starfill.evaluation.jsonl import Record
from starfill.evaluation.metrics import edit_similarity
from starfill.evaluation.prompts import instruction
from starfill.evaluation.score import Line
from starfill.evaluation.work import Item

MAX_NEW_TOKENS = 400


def first_of_each_task(file: Path, count: int) -> list[dict[str, str]]:
    """The file's first `count` examples of each task."""
    found: dict[str, list[dict[str, str]]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        example = json.loads(line)
        found.setdefault(example["task"], []).append(example)
    return [example for task in sorted(found) for example in found[task][:count]]


def items(model: AnsweringModel, examples: Sequence[dict[str, str]]) -> list[Item]:
    """What to ask. Records: {"task_id", "layout", "sample", "completion", "expected"}; layout: the task."""
    return [_item(model, number, example) for number, example in enumerate(examples)]


def _item(model: AnsweringModel, number: int, example: dict[str, str]) -> Item:
    def fields(answer: Answer) -> dict[str, str]:
        return {"completion": answer.text.strip(), "expected": example["output"]}

    question = instruction(model, example["instruction"], example.get("input", ""), MAX_NEW_TOKENS, str(number))
    return Item({"task_id": number, "layout": example["task"]}, question, fields)


def formatted(answer: str) -> str | None:
    """The Python of a fenced answer in one way of writing it (comments and blank lines gone); None if it is none."""
    code = answer.removeprefix("```python").removesuffix("```")
    try:
        return ast.unparse(ast.parse(code.strip("\n"))) if len(code) < len(answer) else None
    except (SyntaxError, ValueError, RecursionError):
        return None


def figures(records: Sequence[Record]) -> list[Line]:
    """A line for each task, and one for all rewrites. Code: what parses, and what equals the known answer after
    formatting; words: how similar they are."""
    rows: dict[str, list[Record]] = {}
    for record in records:
        names = [record["layout"]] + (["all rewrites"] if record["layout"] in REWRITES else [])
        for name in names:
            rows.setdefault(name, []).append(record)
    return [Line(row, len(group), len(group), shares(group)) for row, group in sorted(rows.items())]


def shares(group: Sequence[Record]) -> dict[str, float]:
    similar = fmean(edit_similarity(r["completion"], r["expected"]) for r in group)
    if not group[0]["expected"].startswith("```"):
        return {"edit similarity": similar}
    pairs = [(formatted(r["completion"]), formatted(r["expected"])) for r in group]
    return {
        "parses": fmean(answer is not None for answer, _ in pairs),
        "equals": fmean(answer is not None and answer == expected for answer, expected in pairs),
        "edit similarity": similar,
    }
