"""`starfill eval`: benchmarks of code models, and scores of samples made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from starfill.cli.sampling import produced, sampling_options
from starfill.cli.scoring import RUNNING, check_running, json_option, judged, running_options, show
from starfill.errors import SettingsError

if TYPE_CHECKING:
    from starfill.evaluation.ask import AnsweringModel
    from starfill.evaluation.jsonl import Record
    from starfill.evaluation.problems import Problem
    from starfill.evaluation.score import Line
    from starfill.evaluation.work import Item

NOT_RUN = "The code of the samples was not run: pass --run-code to run it in a sandbox, for pass@k."


@click.group(name="eval")
def evaluate() -> None:
    """Benchmarks of code models, and scores of samples made elsewhere.

    Code that a model wrote runs only with --run-code: each sample in a process of its own, with limits on time, memory,
    files and processes, without network, in a scratch folder.
    """


def data_argument(command: Any) -> Any:
    return click.argument("data", type=click.Path(path_type=Path))(command)


def producing_options(command: Any) -> Any:
    """--out, --limit and how to generate."""
    for option in (
        click.option("--limit", type=click.IntRange(1), help="Only the first so many problems."),
        click.option("--out", type=click.Path(path_type=Path), help="Keep the samples (JSONL); a second run goes on."),
    ):
        command = option(command)
    return sampling_options(command)


def layout_options(command: Any) -> Any:
    for option in (
        click.option("--no-healing", is_flag=True, help="Without token healing."),
        click.option(
            "--layout", "layouts", multiple=True, default=("auto",), help="Of the prompt; several times, or all."
        ),
    ):
        command = option(command)
    return command


@evaluate.command()
@data_argument
@click.option("--max-new-tokens", default=512, show_default=True, type=click.IntRange(1), help="The longest answer.")
@click.option(
    "--prompt",
    "form",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "instruction", "completion"]),
    help="Ask for a script, or let the function be continued; auto: as the model was trained.",
)
@producing_options
@running_options
def humaneval(data: Path, max_new_tokens: int, form: str, **chosen: Any) -> None:
    """HumanEval: whole functions from their signature and docstring, pass@k.

    DATA is HumanEval.jsonl.gz, which OpenAI's human-eval repository on GitHub has in its folder data.
    """
    from starfill.evaluation import benchmarks
    from starfill.evaluation.problems import read_problems

    problems = read_problems(data)[: chosen["limit"]]
    check_running(chosen["run_code"], chosen["ks"])
    records = produced(lambda model: benchmarks.humaneval(model, problems, max_new_tokens, form), **_how(chosen))
    if not chosen["run_code"]:
        click.echo(NOT_RUN, err=True)
        return
    show(_judged([("", record) for record in records], problems, "HumanEval", chosen), chosen["as_json"])


@evaluate.command()
@data_argument
@layout_options
@producing_options
@running_options
def infilling(data: Path, layouts: Sequence[str], no_healing: bool, **chosen: Any) -> None:
    """Single-line infilling of HumanEval's solutions: exact match, edit similarity, and with --run-code pass@k.

    DATA is HumanEval-SingleLineInfilling.jsonl.gz, which OpenAI's human-eval-infilling repository on GitHub has in its
    folder data.
    """
    from starfill.evaluation import benchmarks
    from starfill.evaluation.problems import read_problems, with_suffix
    from starfill.evaluation.score import joined, likenesses

    problems = with_suffix(read_problems(data), data)[: chosen["limit"]]

    def items(model: AnsweringModel) -> list[Item]:
        return benchmarks.infilling(model, problems, benchmarks.layouts_of(model, layouts), not no_healing)

    check_running(chosen["run_code"], chosen["ks"])
    records = produced(items, **_how(chosen))
    if not chosen["run_code"]:
        click.echo(NOT_RUN, err=True)
    passed = _judged([("", record) for record in records], problems, "infilling", chosen)
    show(joined(likenesses(records), passed), chosen["as_json"])


@evaluate.command(name="fim-exact")
@data_argument
@layout_options
@producing_options
@json_option
def fim_exact(data: Path, layouts: Sequence[str], no_healing: bool, as_json: bool, **chosen: Any) -> None:
    """The rest of the line at random places in source files: exact match and edit similarity.

    DATA is a folder of source files, or a .jsonl file of lines {"path", "text"}. The places depend on --seed and
    --limit (300 without it).
    """
    from starfill.evaluation import benchmarks
    from starfill.evaluation.cursors import random_cursors, read_sources
    from starfill.evaluation.score import likenesses

    cursors = random_cursors(read_sources(data), chosen["limit"] or 300, chosen["seed"])

    def items(model: AnsweringModel) -> list[Item]:
        return benchmarks.rests_of_lines(model, cursors, benchmarks.layouts_of(model, layouts), not no_healing)

    show(likenesses(produced(items, **_how(chosen))), as_json)


@evaluate.command()
@click.argument("samples", type=click.Path(path_type=Path))
@click.option("--problems", required=True, type=click.Path(path_type=Path), help="The benchmark's own file.")
@running_options
def score(samples: Path, problems: Path, **chosen: Any) -> None:
    """Score samples made elsewhere: pass@k.

    SAMPLES has lines {"task_id", "completion"}; the names "solution", "output", "answer" and "wizardcoder" do too. What
    stands there may be a continuation of the prompt, a whole function, or an answer of text and code, out of which the
    code is taken as the benchmark's users do.
    """
    from starfill.evaluation.jsonl import read
    from starfill.evaluation.problems import read_problems

    if not chosen["run_code"]:
        raise SettingsError("a score needs the samples' code to be run: pass --run-code to run it in a sandbox")
    check_running(chosen["run_code"], chosen["ks"])
    show(_judged(list(read(samples)), read_problems(problems), str(samples), chosen), chosen["as_json"])


def _how(chosen: dict[str, Any]) -> dict[str, Any]:
    """Of a command's options those that say how to generate."""
    return {name: value for name, value in chosen.items() if name not in (*RUNNING, "limit")}


def _judged(records: Sequence[tuple[str, Record]], problems: Sequence[Problem], name: str, chosen: Any) -> list[Line]:
    if not chosen["run_code"]:
        return []
    return judged(records, problems, name, **{each: chosen[each] for each in ("ks", "workers", "timeout", "results")})
