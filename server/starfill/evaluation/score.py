"""From samples to figures: which samples pass their tests, and the share of problems solved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from starfill.errors import RequestError
from starfill.evaluation.extract import program
from starfill.evaluation.jsonl import Record
from starfill.evaluation.metrics import edit_similarity, exact_match, pass_at_k
from starfill.evaluation.problems import Problem
from starfill.evaluation.sandbox.run import Limits, Verdict, run

# The names under which samples have a model's answer: human-eval's, EvalPlus's, that of other answers, and
# WizardCoder's.
ANSWERS = ("completion", "solution", "output", "answer", "wizardcoder")


@dataclass(frozen=True, slots=True)
class Sample:
    """A program to be judged. row: the line of the table to which it belongs."""

    problem: Problem
    program: str
    row: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: what is counted, and the shares from 0 to 1 by the names of their columns."""

    row: str
    problems: int
    samples: int
    shares: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        return {"row": self.row, "problems": self.problems, "samples": self.samples, **self.shares}


def sample_of(record: Record, problems: Mapping[str, Problem], row: str, place: str) -> Sample:
    """A line of a samples file. Raises RequestError for an unknown task, or if it has no answer."""
    problem = problems.get(str(record.get("task_id")))
    if problem is None:
        raise RequestError(f'{place}: there is no problem with the "task_id" {record.get("task_id")!r} in the data')
    answer = next((record[name] for name in ANSWERS if isinstance(record.get(name), str)), None)
    if answer is None:
        raise RequestError(
            f'{place}: there is no answer: it stands in "completion", or one of {", ".join(ANSWERS[1:])}'
        )
    return Sample(problem, program(problem, answer), row)


def judge(samples: Sequence[Sample], workers: int, limits: Limits, report: Callable[[int, int], None]) -> list[Verdict]:
    """Run each sample in the sandbox, `workers` at a time; equal programs once. report(done, total) is called as they
    end.
    """
    tasks = {(sample.problem.task_id, sample.program): sample for sample in samples}
    report(0, len(tasks))
    with ThreadPoolExecutor(workers) as pool:
        futures = {
            key: pool.submit(run, sample.problem.test_parts(sample.program), limits) for key, sample in tasks.items()
        }
        try:
            for done, future in enumerate(as_completed(futures.values()), 1):
                future.result()
                report(done, len(tasks))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [futures[sample.problem.task_id, sample.program].result() for sample in samples]


def pass_rates(samples: Sequence[Sample], verdicts: Sequence[Verdict], ks: Iterable[int]) -> list[Line]:
    """A line for each row: pass@k, the mean over problems, for each k of which every problem has as many samples."""
    passed: dict[str, dict[str, list[bool]]] = {}
    for sample, verdict in zip(samples, verdicts, strict=True):
        passed.setdefault(sample.row, {}).setdefault(sample.problem.task_id, []).append(verdict.passed)
    lines = []
    for row, by_task in passed.items():
        counts = [(len(each), sum(each)) for each in by_task.values()]
        fewest = min(n for n, _ in counts)
        shares = {f"pass@{k}": fmean(pass_at_k(n, c, k) for n, c in counts) for k in ks if k <= fewest}
        lines.append(Line(row, len(counts), sum(n for n, _ in counts), shares))
    return lines


def likenesses(records: Sequence[Record]) -> list[Line]:
    """A line for each layout: how similar the records' "completion" is to what was "expected"."""
    rows: dict[str, list[Record]] = {}
    for record in records:
        rows.setdefault(record["layout"], []).append(record)
    lines = []
    for row, group in rows.items():
        pairs = [(each["completion"], each["expected"]) for each in group]
        shares = {
            "exact match": fmean(exact_match(*pair) for pair in pairs),
            "edit similarity": fmean(edit_similarity(*pair) for pair in pairs),
        }
        lines.append(Line(row, len({each["task_id"] for each in group}), len(group), shares))
    return lines


def joined(lines: Sequence[Line], further: Sequence[Line]) -> list[Line]:
    """The lines, with further columns of the same rows."""
    shares = {line.row: line.shares for line in further}
    return [replace(line, shares={**shares.get(line.row, {}), **line.shares}) for line in lines]
