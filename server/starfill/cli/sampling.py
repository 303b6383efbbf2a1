"""What the commands for many prompts share: how tokens are chosen, and a progress bar.

The language server starts through the same command line, so imports that only a run needs are inside the functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from starfill.cli.options import engine_options, opened, settings_from
from starfill.errors import SettingsError

if TYPE_CHECKING:
    from starfill.evaluation.ask import AnsweringModel
    from starfill.evaluation.jsonl import Record
    from starfill.evaluation.work import Item, RunProgress
    from starfill.jobs import Sampling

VARIED = 0.2  # the temperature of several samples, which WizardCoder uses for HumanEval


def sampling_options(command: Any) -> Any:
    """--samples, --temperature, --top-p, --greedy, --seed, --batch and the model's options."""
    command = engine_options(command)
    for option in (
        click.option("--batch", default=8, show_default=True, type=click.IntRange(1), help="Samples decoded together."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32), help="Of the sampling."),
        click.option("--greedy", is_flag=True, help="Always take the likeliest token (the default for one sample)."),
        click.option(
            "--top-p", default=0.95, show_default=True, type=click.FloatRange(0.01, 1), help="Nucleus sampling."
        ),
        click.option(
            "--temperature", type=click.FloatRange(0, 2), help=f"{VARIED} for several samples; greedy without it."
        ),
        click.option("--samples", default=1, show_default=True, type=click.IntRange(1), help="Answers to each prompt."),
        click.option("--family", default="auto", help="The family of the model; without it, told from its files."),
        click.option("--device", default="auto", help="auto, cpu or cuda."),
        click.option("--model", default="bundled", help="A checkpoint folder; the bundled model without it."),
    ):
        command = option(command)
    return command


def produced(
    items: Callable[[AnsweringModel], list[Item]],
    *,
    out: Path | None,
    samples: int,
    temperature: float | None,
    top_p: float,
    greedy: bool,
    seed: int,
    batch: int,
    **shared: str,
) -> list[Record]:
    """All samples of a run, also written to `out`, with a progress bar. Takes the options above by their names."""
    from tempfile import TemporaryDirectory

    from starfill.evaluation.ask import Asker
    from starfill.evaluation.jsonl import Output
    from starfill.evaluation.work import produce

    sampling = sampling_from(samples, temperature, top_p, greedy, seed)
    settings = settings_from(**shared)
    with ExitStack() as stack:
        path = out or Path(stack.enter_context(TemporaryDirectory())) / "samples.jsonl"
        output = stack.enter_context(Output(path))
        model = stack.enter_context(opened(settings))
        report = stack.enter_context(generation_bar())
        return produce(items(model), samples, Asker(model, sampling, batch), output, report)


def sampling_from(samples: int, temperature: float | None, top_p: float, greedy: bool, seed: int) -> Sampling:
    """Raises SettingsError if the options contradict each other."""
    from starfill.jobs import Sampling

    if greedy and temperature:
        raise SettingsError("--greedy and --temperature exclude each other: give one of them")
    chosen = temperature if temperature is not None else VARIED if samples > 1 and not greedy else 0.0
    if samples > 1 and not chosen:
        raise SettingsError("--samples above 1 needs a --temperature above 0: greedy samples are all the same")
    return Sampling(chosen, top_p, seed)


@contextmanager
def bar(name: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on a terminal, and a function to call as work is done: (done, total, what else there is to say)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None, note="")
        yield lambda done, total, note: progress.update(task, completed=done, total=total, note=note)


@contextmanager
def generation_bar() -> Iterator[Callable[[RunProgress], None]]:
    """A bar over samples that shows tokens a second."""
    began = time.monotonic()
    with bar("generating") as update:

        def report(at: RunProgress) -> None:
            speed = at.tokens / max(time.monotonic() - began, 1e-9)
            update(at.samples, at.total, f"{speed:.0f} tokens/s")

        yield report
