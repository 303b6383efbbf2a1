"""The benchmarks as runs: what to ask a model for each problem, and the records to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starfill.config.choices import Layout
from starfill.errors import SettingsError
from starfill.evaluation.ask import Answer, AnsweringModel
from starfill.evaluation.cursors import Cursor
from starfill.evaluation.extract import program
from starfill.evaluation.problems import Problem
from starfill.evaluation.prompts import SCRIPT, continuation, gap, instruction, is_tuned, line_end, rest_of_line
from starfill.evaluation.work import Item


def humaneval(model: AnsweringModel, problems: Sequence[Problem], max_new_tokens: int, form: str) -> list[Item]:
    """form: "instruction", "completion", or "auto", which takes the former for models tuned to follow instructions.

    Records: {"task_id", "sample", "completion", "answer", "cut_off"}. completion: the program in the answer.
    """
    as_instruction = is_tuned(model) if form == "auto" else form == "instruction"
    return [_function(model, problem, max_new_tokens, as_instruction) for problem in problems]


def _function(model: AnsweringModel, problem: Problem, max_new_tokens: int, as_instruction: bool) -> Item:
    def fields(answer: Answer) -> dict[str, Any]:
        return {"completion": program(problem, answer.text), "answer": answer.text, "cut_off": answer.cut_off}

    if as_instruction:
        question = instruction(model, SCRIPT.format(prompt=problem.prompt), "", max_new_tokens, problem.task_id)
    else:
        question = continuation(model, problem.prompt, max_new_tokens, problem.task_id)
    return Item({"task_id": problem.task_id}, question, fields)


def infilling(
    model: AnsweringModel, problems: Sequence[Problem], layouts: Sequence[Layout], healed: bool
) -> list[Item]:
    """A line of each problem in each layout. Records: {"task_id", "layout", "sample", "completion", "expected"}."""
    return [
        Item(
            {"task_id": problem.task_id, "layout": row(layout, healed)},
            gap(model, "", problem.prompt, problem.suffix or "", layout, healed, line_end),
            lambda answer, expected=problem.canonical_solution: {"completion": answer.text, "expected": expected},  # type: ignore[misc]
        )
        for layout in layouts
        for problem in problems
    ]


def rests_of_lines(
    model: AnsweringModel, cursors: Sequence[Cursor], layouts: Sequence[Layout], healed: bool
) -> list[Item]:
    """The rest of the line at each cursor, in each layout. Records as for `infilling`; task_id: path:line:column."""
    return [
        Item(
            {"task_id": cursor.place, "layout": row(layout, healed)},
            gap(model, cursor.path, cursor.before, cursor.after, layout, healed, rest_of_line),
            lambda answer, expected=cursor.line: {"completion": answer.text, "expected": expected},  # type: ignore[misc]
        )
        for layout in layouts
        for cursor in cursors
    ]


def row(layout: Layout, healed: bool) -> str:
    """The name of a layout in records and tables."""
    return layout.value if healed else f"{layout.value}, not healed"


def layouts_of(model: AnsweringModel, chosen: Sequence[str]) -> list[Layout]:
    """The layouts of these names; "auto" is the model's best, "all" all with which it fills in the middle.

    Raises SettingsError for one that the model doesn't know.
    """
    known = model.dialect.orders
    found: dict[Layout, None] = {}
    for name in chosen:
        if name == "all":
            found |= dict.fromkeys(layout for layout in known if layout is not Layout.PREFIX or len(known) == 1)
        elif name == "auto":
            found[next(iter(known))] = None
        elif name in known:
            found[Layout(name)] = None
        else:
            words = ", ".join([*(layout.value for layout in known), "auto", "all"])
            raise SettingsError(f"--layout {name} is none of those that this model knows: {words}")
    return list(found)
