"""`starfill models quantize`: a GPTQ checkpoint from an unquantized one, with progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from starfill.quantize.layerwise import LinearError, OnStep, QuantizeStep


@click.command()
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--bits", default=4, show_default=True, help="3, 4 or 8.")
@click.option("--group-size", default=128, show_default=True, help="Input features that share a scale; -1: all.")
@click.option("--desc-act/--no-desc-act", default=True, show_default=True, help="Most important features first.")
@click.option("--sym/--asym", default=True, show_default=True, help="Zero points in the middle, or of their own.")
@click.option("--damp", default=0.01, show_default=True, help="Added to the Hessian, as a share of its mean diagonal.")
@click.option(
    "--method",
    type=click.Choice(["gptq", "rtn"]),
    default="gptq",
    show_default=True,
    help="rtn rounds to the nearest code: worse, needs no backend, good for comparing.",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "auto-gptq", "gptqmodel"]),
    default="auto",
    show_default=True,
    help="The library that does GPTQ; auto takes the one that is installed.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help='A text file, a JSONL ("text", "content" or "ids") or a folder of source files. Without it: the standard'
    " library of the Python that runs.",
)
@click.option("--samples", default=128, show_default=True, help="Calibration sequences.")
@click.option("--sequence", default=2048, show_default=True, help="Tokens in each, or the model's context if shorter.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--copy-head/--no-copy-head",
    default=True,
    show_default=True,
    help="Store an output head that is the embedding table a second time, without which auto-gptq can't load it.",
)
@click.option("--seed", default=0, show_default=True, help="Of the choice among the calibration text.")
def quantize(
    source: Path,
    destination: Path,
    bits: int,
    group_size: int,
    desc_act: bool,
    sym: bool,
    damp: float,
    method: str,
    backend: str,
    calibration: Path | None,
    samples: int,
    sequence: int,
    device: str,
    copy_head: bool,
    seed: int,
) -> None:
    """Quantize the checkpoint in the folder SRC into a new folder DST, one layer in memory at a time.

    DST holds the published GPTQ layout: Starfill, auto-gptq, gptqmodel and transformers load it.
    """
    from starfill.quantize.calibration import CalibrationSample
    from starfill.quantize.make import Request, make
    from starfill.quantize.spec import Spec

    spec = Spec(bits, group_size, desc_act, sym, damp)
    sample = CalibrationSample(samples, sequence, seed)
    chosen = "rtn" if method == "rtn" else backend
    with _progress() as report:
        errors = make(Request(source, destination, spec, sample, calibration, chosen, device, copy_head), report)
    _print_errors(errors)
    before, after = (
        sum(file.stat().st_size for file in folder.glob("*.safetensors")) for folder in (source, destination)
    )
    click.echo(f"{before / 1e6:.1f} MB of weights became {after / 1e6:.1f} MB in {destination}")


def _print_errors(errors: list[LinearError]) -> None:
    """A row for each layer, a column for each of its linears, and their means."""
    columns: dict[str, list[float]] = {}
    for each in errors:
        columns.setdefault(each.linear, []).append(each.error)
    width = max(map(len, columns))
    click.echo("How far each linear's answers on the calibration text moved, in % of their size:")
    click.echo("layer" + "".join(f"  {name:>{width}}" for name in columns))
    for number, row in enumerate(zip(*columns.values(), strict=True), 1):
        click.echo(f"{number:>5}" + "".join(f"  {error:>{width}.2%}" for error in row))
    click.echo(" mean" + "".join(f"  {sum(errors) / len(errors):>{width}.2%}" for errors in columns.values()))


@contextmanager
def _progress() -> Iterator[OnStep]:
    """A bar by layer and linear on a terminal, else a line for each layer."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<44}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    shown = ""
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading the calibration text", total=1.0)

        def report(step: QuantizeStep) -> None:
            nonlocal shown
            where = f"{step.doing} layer {step.layer}/{step.layers}"
            bar.update(task, completed=step.fraction, description=f"{where} {step.linear}")
            if not console.is_terminal and where != shown:
                click.echo(where, err=True)
            shown = where

        yield report
