"""Many people typing over one serving engine: how long they wait, and what happens when it fails.

    python benchmarks/engine_load.py [--editors 50] [--seconds 60] [--slots 50] [--fault kill] [--url http://…]

Each editor writes line after line into a document of its own at a person's pace, asks with each key, and gives a
request up when the next key comes; every tenth line is written at another place. All have assistants and connections of
their own, and share a few processes. They compute prompts and answers beside the engine, so on a small machine they are
part of the load: their own share of the processor and how late their event loops were is printed too. Starts
llama.cpp's server with the bundled model, or uses the engine at --url.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from latency.cases import CASES, once
from load.crowd import Crowd, play
from load.process import Running
from load.report import Fault, figures, show
from peers import gguf_file
from peers.llama_build import program
from starfill.config.settings import Settings

CONTEXT = 1024  # tokens of a slot: as many as the bundled model has
SETTLING = 0.5  # seconds to load an editor, before all begin
AWAY = 2.0  # seconds between killing an engine and starting it
HELD = 5.0  # seconds for which a slow one does nothing
WIDTH = 110


@click.command()
@click.option("--editors", default=50, show_default=True)
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--processes", default=4, show_default=True, help="That the editors share.")
@click.option("--think", default=2.0, show_default=True, help="Seconds between two lines, on average.")
@click.option("--slots", default=50, show_default=True, help="Of llama.cpp's server.")
@click.option("--threads", default=2, show_default=True, help="Of llama.cpp's server.")
@click.option("--option", "options", multiple=True, help="Of llama.cpp's server, as it has them.")
@click.option("--url", default="", help="An engine that runs already.")
@click.option("--tokenizer", default="bundled", show_default=True, help="starfill.engine.tokenizer.")
@click.option("--family", default="starfill", show_default=True, help="starfill.engine.family.")
@click.option("--fault", type=click.Choice(["none", "kill", "slow"]), default="none", help="In the middle.")
def main(
    editors: int,
    seconds: float,
    processes: int,
    think: float,
    slots: int,
    threads: int,
    options: Sequence[str],
    url: str,
    tokenizer: str,
    family: str,
    fault: str,
) -> None:
    """Type with many editors over one engine."""
    if url and fault != "none":
        raise click.UsageError("--fault ends or stops the engine, so it can't be one that runs already")
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with _engine(url, slots, threads, options) as engine:
        settings = Settings(engine_url=url or engine.url, engine_tokenizer=tokenizer, engine_family=family)
        crowds, happened = _run(editors, processes, seconds, think, settings, engine, fault, console)
    found = figures(crowds, seconds, happened) | {"editors": editors, "think": think, "engine": url or f"{slots} slots"}
    show(found, console)
    print(json.dumps(found))
    if found["unanswered"]:
        raise SystemExit(1)


@contextmanager
def _engine(url: str, slots: int, threads: int, options: Sequence[str]) -> Iterator[Running | None]:
    """llama.cpp's server, unless there is one at `url`."""
    if url:
        yield None
        return
    case = CASES["bundled"]
    file = once(case.other_form("f16.gguf"), partial(gguf_file.write, case.folder))
    # Each slot has room of its own, so that a document never loses its state to a longer one.
    sizes = ["--parallel", str(slots), "--ctx-size", str(CONTEXT * slots), "--no-kv-unified", "--threads", str(threads)]
    command = [str(program("llama-server")), "--model", str(file), "--host", "127.0.0.1", *sizes, *options]
    with TemporaryDirectory() as folder:
        running = Running(lambda port: [*command, "--port", str(port)], "/health", Path(folder) / "log")
        try:
            running.wait()
            yield running
        finally:
            running.kill()


def _run(
    editors: int,
    processes: int,
    seconds: float,
    think: float,
    settings: Settings,
    engine: Running | None,
    fault: str,
    console: Console,
) -> tuple[list[Crowd], Fault | None]:
    shares = [list(range(first, editors, processes)) for first in range(processes)]
    columns = "{task.description}", TimeElapsedColumn()
    with (
        ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool,
        Progress(TextColumn(columns[0]), columns[1], console=console, transient=True) as progress,
    ):
        start = time.time() + 10 + SETTLING * editors
        asked = [pool.submit(play, share, settings, seconds, think, start) for share in shares]
        happened = _watch(asked, start, seconds, engine, fault, progress)
        return [future.result() for future in asked], happened


def _watch(
    asked: Sequence[Future[Crowd]],
    start: float,
    seconds: float,
    engine: Running | None,
    fault: str,
    progress: Progress,
) -> Fault | None:
    """Does to the engine in the middle what is wanted."""
    task = progress.add_task("opening editors")
    _until(start, asked)
    progress.update(task, description="typing")
    if fault == "none" or engine is None:
        return None
    _until(start + seconds / 2, asked)
    began = time.time() - start
    if fault == "kill":
        engine.kill()
        time.sleep(AWAY)
        engine.start()
        engine.wait()
    else:
        engine.hold()
        time.sleep(HELD)
        engine.go_on()
    return Fault(fault, began, time.time() - start)


def _until(moment: float, asked: Sequence[Future[Crowd]]) -> None:
    while time.time() < moment and not any(future.done() for future in asked):
        time.sleep(0.05)


if __name__ == "__main__":
    main()
