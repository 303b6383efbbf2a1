"""Judging samples with a progress bar, and the table of figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from starfill.cli.sampling import bar
from starfill.errors import RequestError, SettingsError

if TYPE_CHECKING:
    from starfill.evaluation.jsonl import Record
    from starfill.evaluation.problems import Problem
    from starfill.evaluation.sandbox.run import Verdict
    from starfill.evaluation.score import Line, Sample


RUNNING = ("run_code", "ks", "workers", "timeout", "results", "as_json")  # the names of these options


def running_options(command: Any) -> Any:
    """--run-code and what belongs to it, and --json."""
    for option in (
        json_option,
        click.option("--results", type=click.Path(path_type=Path), help="Write what became of each sample (JSONL)."),
        click.option("--timeout", default=3, show_default=True, type=click.IntRange(1), help="CPU seconds a sample."),
        click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Samples run at a time."),
        click.option("-k", "ks", default="1,10,100", show_default=True, help="The k of pass@k, with commas."),
        click.option("--run-code", is_flag=True, help="Run the model's code in a sandbox."),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print the figures as one line of JSON.")


def check_running(run_code: bool, ks: str) -> None:
    """Check, before anything is generated, that code can be run here, and say how it is confined. Raises SettingsError
    if it can't.
    """
    from starfill.evaluation.sandbox.run import check_available

    _numbers(ks)
    if run_code:
        click.echo(f"Sandbox: {'; '.join(check_available())}.", err=True)


def judged(
    records: Sequence[tuple[str, Record]],
    problems: Sequence[Problem],
    name: str,
    *,
    ks: str,
    workers: int,
    timeout: int,
    results: Path | None,
) -> list[Line]:
    """Run the code of samples, given with their places. Returns a line for each layout, or one for all under `name`."""
    from starfill.evaluation.sandbox.run import Limits
    from starfill.evaluation.score import judge, pass_rates, sample_of

    tasks = {problem.task_id: problem for problem in problems}
    samples = [sample_of(record, tasks, str(record.get("layout", name)), place) for place, record in records]
    if not samples:
        raise RequestError(f"{name} has no samples in it")
    with bar("running code") as update:
        verdicts = judge(
            samples, workers, Limits(cpu=timeout, clock=3.0 * timeout + 5), lambda done, total: update(done, total, "")
        )
    if results is not None:
        _write_results(results, samples, verdicts)
    return pass_rates(samples, verdicts, _numbers(ks))


def _numbers(ks: str) -> list[int]:
    found = [int(part) for part in ks.split(",") if part.strip().isdecimal() and int(part)]
    if not found or len(found) != len(ks.split(",")):
        raise SettingsError(f"-k {ks} is not a list of numbers from 1: write it like 1,10,100")
    return found


def _write_results(path: Path, samples: Sequence[Sample], verdicts: Sequence[Verdict]) -> None:
    lines = [
        {"task_id": sample.problem.task_id, "row": sample.row, "passed": verdict.passed, "error": verdict.error}
        for sample, verdict in zip(samples, verdicts, strict=True)
    ]
    try:
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{path} can't be written: {error.strerror}") from None


def show(lines: Sequence[Line], as_json: bool) -> None:
    """The figures as a table, shares as percentages, or as one line of JSON, shares from 0 to 1."""
    if as_json:
        click.echo(json.dumps({"rows": [line.as_json() for line in lines]}))
        return
    from rich.console import Console
    from rich.table import Table

    names = list(dict.fromkeys(name for line in lines for name in line.shares))
    table = Table("", "problems", "samples", *names)
    for line in lines:
        shares = [f"{100 * line.shares[name]:.1f} %" if name in line.shares else "" for name in names]
        table.add_row(line.row, str(line.problems), str(line.samples), *shares)
    Console().print(table)
