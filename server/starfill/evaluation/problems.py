"""The problems of the benchmarks, in the formats of their own files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from starfill.errors import RequestError
from starfill.evaluation.jsonl import read, text_of


@dataclass(frozen=True, slots=True)
class Problem:
    """A function to write, or a line of it. suffix: the code after the gap; None if the answer is everything after
    `prompt`.

    test: source that defines `check(candidate)`, which raises if the candidate is wrong.
    """

    task_id: str
    prompt: str
    suffix: str | None
    canonical_solution: str
    test: str
    entry_point: str

    def test_parts(self, solution: str) -> list[str]:
        """The sources to run one after the other. The solution passes if they run to the end."""
        return [solution, self.test, f"check({self.entry_point})"]


def read_problems(path: Path) -> list[Problem]:
    """Lines {"task_id", "prompt", "entry_point", "canonical_solution", "test"}; of infilling also "suffix".

    Raises RequestError naming the line and the field.
    """
    problems: dict[str, Problem] = {}
    for place, record in read(path):
        problem = Problem(
            task_id=text_of(record, "task_id", place),
            prompt=text_of(record, "prompt", place),
            suffix=text_of(record, "suffix", place) if "suffix" in record else None,
            canonical_solution=text_of(record, "canonical_solution", place),
            test=text_of(record, "test", place),
            entry_point=text_of(record, "entry_point", place),
        )
        if not problem.entry_point.isidentifier():
            raise RequestError(f'{place}: "entry_point" must be a name, not {problem.entry_point!r}')
        if problem.task_id in problems:
            raise RequestError(f"{place}: the task {problem.task_id} is in the file twice")
        problems[problem.task_id] = problem
    if not problems:
        raise RequestError(f"{path} has no problems in it")
    return list(problems.values())


def with_suffix(problems: Iterable[Problem], path: Path) -> list[Problem]:
    """The same problems. Raises RequestError if one has no gap to fill."""
    found = list(problems)
    if any(problem.suffix is None for problem in found):
        raise RequestError(
            f'{path}: problems without "suffix" are no infilling: use `starfill eval humaneval` for them'
        )
    return found
