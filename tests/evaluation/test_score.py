"""Samples to figures, through the real sandbox; and what a run still has to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from evaluation.made_up import ADD, GAP, TWICE, lines, problem
from starfill.errors import RequestError
from starfill.evaluation.ask import Answer, Question
from starfill.evaluation.jsonl import Output
from starfill.evaluation.problems import Problem
from starfill.evaluation.sandbox.run import Limits, Verdict
from starfill.evaluation.score import joined, judge, likenesses, pass_rates, sample_of
from starfill.evaluation.work import Item, RunProgress, produce

PROBLEMS = {record["task_id"]: problem(record) for record in (ADD, TWICE, GAP)}
RIGHT = {task: made.canonical_solution for task, made in PROBLEMS.items()}


def samples(*pairs: tuple[str, str]) -> list[Any]:
    return [sample_of({"task_id": task, "completion": text}, PROBLEMS, "row", "f:1") for task, text in pairs]


def test_judged_in_order_and_equal_ones_once() -> None:
    made = samples(*[(task, RIGHT[task]) for task in ("Made/0", "Made/0", "Gap/0/L1")], ("Made/1", "    return 1\n"))
    at: list[tuple[int, int]] = []
    verdicts = judge(made, 2, Limits(), lambda done, total: at.append((done, total)))
    assert [verdict.passed for verdict in verdicts] == [True, True, True, False]
    assert str(verdicts[3].error).startswith("AssertionError")
    assert at == [(0, 3), (1, 3), (2, 3), (3, 3)]
    [line] = pass_rates(made, verdicts, [1, 10])
    assert line.as_json() == {"row": "row", "problems": 3, "samples": 4, "pass@1": pytest.approx(2 / 3)}


def test_pass_rates_are_means_over_problems() -> None:
    made = samples(*[("Made/0", "    return 1\n")] * 4, *[("Made/1", "    return 1\n")] * 2)
    verdicts = [Verdict(None), Verdict("no"), Verdict("no"), Verdict("no"), Verdict(None), Verdict(None)]
    [line] = pass_rates(made, verdicts, [1, 2, 3])
    assert line.shares == {"pass@1": pytest.approx((1 / 4 + 1) / 2), "pass@2": pytest.approx((1 / 2 + 1) / 2)}


@pytest.mark.parametrize("name", ["completion", "solution", "output", "answer", "wizardcoder"])
def test_an_answer_has_several_names(name: str) -> None:
    made = sample_of({"task_id": "Gap/0/L1", name: "x"}, PROBLEMS, "row", "f:1")
    assert made.program == GAP["prompt"] + "x\n" + GAP["suffix"]


def test_what_is_wrong_with_a_sample_is_said() -> None:
    with pytest.raises(RequestError, match=r"s.jsonl:7: there is no problem with the \"task_id\" 'No/1'"):
        sample_of({"task_id": "No/1", "completion": ""}, PROBLEMS, "row", "s.jsonl:7")
    with pytest.raises(RequestError, match=r's.jsonl:7: there is no answer: it stands in "completion"'):
        sample_of({"task_id": "Made/0"}, PROBLEMS, "row", "s.jsonl:7")


def test_likenesses_by_layout_and_joined() -> None:
    records = [
        {"task_id": "a", "layout": "psm", "completion": "x = 1\n", "expected": "x = 1"},
        {"task_id": "b", "layout": "psm", "completion": "ab", "expected": "cd"},
        {"task_id": "a", "layout": "spm", "completion": "abcd", "expected": "abce"},
    ]
    found = likenesses(records)
    assert [(line.row, line.problems, line.samples) for line in found] == [("psm", 2, 2), ("spm", 1, 1)]
    assert found[0].shares == {"exact match": 0.5, "edit similarity": 0.5}
    assert found[1].shares == {"exact match": 0, "edit similarity": 0.75}
    [psm, spm] = joined(found, pass_rates(samples(("Made/0", "")), [Verdict(None)], [1]))
    assert "pass@1" not in psm.shares  # another row's
    assert spm == found[1]


class Scripted:
    """Answers with the prompt's number and the sample's; stops the run after so many batches."""

    def __init__(self, batches: int = 99) -> None:
        self.batches = batches
        self.asked: list[tuple[int, list[int]]] = []

    def ask(self, question: Question, number: int, numbers: Sequence[int]) -> Iterator[list[Answer]]:
        for at in range(0, len(numbers), 2):
            if len(self.asked) == self.batches:
                raise KeyboardInterrupt
            self.asked.append((number, list(numbers[at : at + 2])))
            yield [Answer(f"{number}-{sample}", False, 5) for sample in numbers[at : at + 2]]


def items(*keys: str) -> list[Item]:
    fields: Callable[[Answer], dict[str, str]] = lambda answer: {"text": answer.text}  # noqa: E731
    return [Item({"task_id": key}, Question((1,), 1), fields) for key in keys]


def test_a_run_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    path, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    reports: list[RunProgress] = []
    with Output(path) as output, pytest.raises(KeyboardInterrupt):
        produce(items("a", "b", "c"), 3, Scripted(3), output, reports.append)  # type: ignore[arg-type]
    assert reports[-1] == RunProgress(samples=5, total=9, tokens=25)
    reports.clear()
    second = Scripted()
    with Output(path) as output:
        records = produce(items("a", "b", "c"), 3, second, output, reports.append)  # type: ignore[arg-type]
    assert second.asked == [(1, [2]), (2, [0, 1]), (2, [2])]
    assert (reports[0], reports[-1]) == (RunProgress(5, 9, 0), RunProgress(9, 9, 20))
    with Output(whole) as output:
        assert produce(items("a", "b", "c"), 3, Scripted(), output, reports.append) == records  # type: ignore[arg-type]
    assert path.read_bytes() == whole.read_bytes()
    assert lines(path)[4] == {"task_id": "b", "sample": 1, "text": "1-1"}


def test_records_of_other_items_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with Output(path) as output:
        produce(items("a", "b"), 2, Scripted(), output, lambda at: None)  # type: ignore[arg-type]
    with Output(path) as output:
        records = produce(items("b"), 1, Scripted(), output, lambda at: None)  # type: ignore[arg-type]
    assert [(record["task_id"], record["sample"]) for record in records] == [("b", 0)]
    assert len(lines(path)) == 4


def test_the_tests_of_a_problem_are_its_last_parts() -> None:
    made: Problem = PROBLEMS["Gap/0/L1"]
    assert made.test_parts("solution") == ["solution", made.test, "check(add)"]
