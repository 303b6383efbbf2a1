"""What Starfill reaches on an NVIDIA GPU: decode, prefill and keystrokes of models of random weights, beside ceilings.

    PYTHONPATH=server:benchmarks python -m gpu.bench_gpu [--model starcoder-15b ...] [--part models ...]

Measures what the device's memory and its matrix products give, then each model against that, then the same shape
through transformers, then kernels one by one. Prints tables as they come, and at the end all of it as one line of JSON.
On a CPU `--device cpu --shapes tiny` only shows that everything runs, through Triton's interpreter.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import click
import torch
from rich.console import Console

from checkpoints.layout import Layout
from gpu.cases import CASES, LAYOUT, REAL, TINY, TINY_CASES, TINY_LAYOUT, Case, Work, described
from gpu.ceilings import Ceilings
from gpu.clock import Deadline
from gpu.measured import Measured, bars, rounded, show
from latency.report import show_bars, table

PARTS = ("models", "theirs", "kernels")
WIDTH = 130  # of the tables in a file
ROOM = 6 * 2**30  # bytes of the device that weights leave alone, in a model that is cut


@dataclass(slots=True)
class Run:
    """What is measured with, and what it has come to so far."""

    console: Console
    deadline: Deadline
    device: torch.device
    dtype: torch.dtype
    work: Work
    ceilings: Ceilings = field(init=False)
    found: dict[str, Any] = field(default_factory=dict)
    models: list[Measured] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.console.print(f"[dim]{self.deadline.passed:5.0f} s  {text}[/dim]", highlight=False)

    def late(self, what: str) -> bool:
        """Whether the time is over; then it is said what is left out."""
        if self.deadline.over:
            self.console.print(f"Left out, no time: {what}")
        return self.deadline.over


@click.command()
@click.option("--device", "where", default="cuda", show_default=True)
@click.option("--shapes", type=click.Choice(["real", "tiny"]), default="real", show_default=True)
@click.option("--model", "names", type=click.Choice([*CASES, *TINY_CASES]), multiple=True, help="Default: all.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Default: all.")
@click.option("--bits", type=click.Choice(["3", "4", "8"]), default="4", show_default=True)
@click.option("--group-size", type=int, help="Default: 128.")
@click.option("--act-order/--no-act-order", default=True, show_default=True)
@click.option("--dtype", type=click.Choice(["float16", "bfloat16"]), default="float16", show_default=True)
@click.option("--minutes", default=9.0, show_default=True, help="What isn't begun by then is left out.")
def main(
    where: str,
    shapes: str,
    names: Sequence[str],
    parts: Sequence[str],
    bits: str,
    group_size: int | None,
    act_order: bool,
    dtype: str,
    minutes: float,
) -> None:
    """Measure on an NVIDIA GPU."""
    if where == "cpu":
        os.environ["TRITON_INTERPRET"] = "1"  # before anything imports triton: its kernels are defined by that
    tiny = shapes == "tiny"
    cases = TINY_CASES if tiny else CASES
    chosen = [cases[name] for name in names or cases]
    usual = TINY_LAYOUT if tiny else LAYOUT
    layout = replace(usual, bits=int(bits), group_size=group_size or usual.group_size, desc_act=act_order)
    deadline, console = Deadline(minutes), Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    run = Run(console, deadline, torch.device(where), getattr(torch, dtype), TINY if tiny else REAL)
    run.found |= setting(run)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        measure(run, chosen, layout, parts or PARTS)
    finally:  # also of a run that broke off, or was cut off
        print(json.dumps(run.found | {"models": [model.as_json() for model in run.models]}))


def measure(run: Run, cases: Sequence[Case], layout: Layout, parts: Sequence[str]) -> None:
    run.say(f"{run.found['device']}, torch {torch.__version__}: the ceilings")
    run.ceilings = Ceilings.measured(run.device, run.dtype, run.work.ceilings, run.work.rounds)
    run.found["ceilings"] = rounded(run.ceilings.as_json())
    rate, product = run.ceilings.bandwidth / 1e9, run.ceilings.matrix / 1e12
    run.console.print(f"Memory is copied at {rate:.1f} GB/s (bytes read and written), matrices multiplied at", end=" ")
    run.console.print(f"{product:.4g} TFLOP/s ({run.found['dtype']}, random numbers)")
    for case in cases:
        measured = theirs = None
        if "models" in parts and not run.late(case.name):
            measured = one_model(run, case, layout)
        if "theirs" in parts and case.judged and not run.late(f"{case.name} through transformers"):
            theirs = through_transformers(run, case, layout)
        if measured is not None and case.judged:
            reached = list(bars(measured, theirs))
            run.found["bars"] = [bar.as_json() for bar in reached]
            show_bars(run.console, f"{case.name}: bars, set for an H200 (this is {run.found['device']})", reached)
    if "kernels" in parts:
        each_kernel(run, cases, layout)


def one_model(run: Run, case: Case, layout: Layout) -> Measured:
    from gpu.models import Bench
    from gpu.random_source import build, fitting, layers

    count = layers(case.shape)
    fits = fitting(case.shape, layout, free_bytes(run.device) - ROOM) if run.device.type == "cuda" else count
    run.say(f"{case.name}: making {fits} of {count} layers")
    built = build(case.name, case.shape.with_layers(fits), layout, run.device, run.dtype)
    measured = Measured(case.name, described(layout), fits, count, built.tally.read)
    run.models.append(measured)
    Bench(case, built, run.ceilings, run.work, measured, run.say).run()
    show(measured, run.ceilings, run.console)
    del built
    empty(run.device)
    return measured


def through_transformers(run: Run, case: Case, layout: Layout) -> float | None:
    """Tokens a second."""
    from gpu.theirs import generate

    run.say(f"{case.name}: through transformers")
    try:
        made = generate(case.shape, layout, run.device, run.dtype, run.work.generated)
    except Exception as error:  # whatever another library does here, our own figures are to be seen
        run.console.print(f"transformers: {type(error).__name__}: {error}")
        return None
    finally:
        empty(run.device)
    run.found["transformers"] = rounded(asdict(made))
    row = (made.through, f"{made.first_ms:.1f}", f"{made.tokens_s:.1f}")
    title = f"{case.name}: greedy generate of transformers, a prompt of {made.prompt} tokens"
    table(run.console, title, ("first token, ms", "tokens/s"), [row], first="linears")
    if made.why:
        run.console.print(f"Not used: {made.why}")
    return made.tokens_s


def each_kernel(run: Run, cases: Sequence[Case], layout: Layout) -> None:
    from gpu import chunks
    from gpu.kernels import ROWS, Place, cells, compare, products

    place = Place(run.device, run.dtype, run.ceilings.bandwidth, run.work.rounds)
    told: dict[str, Any] = run.found.setdefault("kernels", {"rows": ROWS})
    told_chunks: dict[str, Any] = run.found.setdefault("chunks", {"rows": run.work.chunks})
    for size, its_layout in products([case.shape for case in cases], layout)[: run.work.products]:
        name = f"{size[0]} x {size[1]}, {described(its_layout)}"
        if run.late(f"kernels for {name}, and what follows"):
            break
        run.say(f"kernels for {name}")
        found = compare(place, size, its_layout)
        told[name] = {each.kernel: each.as_json() for each in found}
        columns = (*map(str, ROWS), "share of the bandwidth")
        table(run.console, f"{name}: microseconds by rows", columns, list(cells(found)), first="kernel")
        empty(run.device)
        prompted = chunks.compare(place, size, its_layout, run.work, run.ceilings.matrix)
        told_chunks[name] = {each.kernel: each.as_json() for each in prompted}
        columns = (*map(str, run.work.chunks), "share of the matrix rate")
        title = f"{name}: microseconds by rows of a prompt, by room for weights in full"
        table(run.console, title, columns, list(cells(prompted, run.work.chunks)), first="kernel")
        empty(run.device)


def free_bytes(device: torch.device) -> int:
    return int(torch.cuda.mem_get_info(device)[0])


def empty(device: torch.device) -> None:
    """Gives back what nothing holds any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def setting(run: Run) -> dict[str, Any]:
    """What was measured on, with what, when."""
    cuda = run.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(run.device) if cuda else platform.machine(),
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "dtype": str(run.dtype).removeprefix("torch."),
    }


if __name__ == "__main__":
    main()
