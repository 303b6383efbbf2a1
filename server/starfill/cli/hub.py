"""`starfill models pull`, `list` and `remove`: checkpoints from the hub, in the hub library's own cache."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@click.command()
@click.argument("repository", metavar="REPO[:REVISION]")
def pull(repository: str) -> None:
    """Download a checkpoint from the hub, for `--model REPO[:REVISION]` and the setting `model`.

    REVISION is a branch, tag or commit; `main` without it. Only safetensors weights and the few JSON files beside them
    are downloaded. After an interruption the same command goes on where it was.
    """
    from starfill.checkpoint import hub
    from starfill.checkpoint.pull import plan as ask
    from starfill.checkpoint.pull import pull as download

    plan = ask(hub.Repository.named(repository))
    here = f", of which {hub.amount(plan.done)} are here" if plan.done else ""
    click.echo(f"{plan.repository}: {len(plan.files)} files, {hub.amount(plan.nbytes)}{here}", err=True)
    try:
        with _progress(plan.done, plan.nbytes) as report:
            path = download(plan, report)
    except KeyboardInterrupt:
        click.echo("starfill: stopped; what is here is kept, and the same command goes on from there", err=True)
        sys.exit(130)
    click.echo(str(path))


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def list_models(as_json: bool) -> None:
    """Show the models that are on this machine: the bundled one and what was pulled."""
    from starfill.checkpoint import hub
    from starfill.config.folders import BUNDLED

    size = sum(file.stat().st_size for file in BUNDLED.iterdir())
    rows = [("bundled", size, hub.lacking(BUNDLED), BUNDLED)]
    rows += [(str(each.repository), each.nbytes, each.lacking, each.path) for each in hub.pulled()]
    if as_json:
        keys = ("model", "bytes", "complete", "lacking", "path")
        entries = [(model, size, lack is None, lack, str(path)) for model, size, lack, path in rows]
        click.echo(json.dumps([dict(zip(keys, entry, strict=True)) for entry in entries], indent=2))
        return
    width = max(len(model) for model, *_ in rows)
    for model, size, lack, path in rows:
        state = "complete" if lack is None else f"incomplete, lacks {lack}"
        click.echo(f"{model:<{width}}  {hub.amount(size):>9}  {state}  {path}")


@click.command()
@click.argument("repository", metavar="REPO[:REVISION]")
def remove(repository: str) -> None:
    """Delete a pulled model from this machine."""
    from starfill.checkpoint import hub

    freed = hub.remove(hub.Repository.named(repository))
    click.echo(f"{hub.amount(freed)} freed in {hub.cache_folder()}")


@contextmanager
def _progress(done: int, total: int) -> Iterator[Callable[[int, str], None]]:
    """A bar with speed and time left on a terminal, elsewhere a line for every tenth; on stderr."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(total)
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("", completed=done, total=total)
        yield lambda done, name: bar.update(task, completed=done, description=name)


def _lines(total: int) -> Callable[[int, str], None]:
    from starfill.checkpoint.hub import amount

    told = -1

    def report(done: int, name: str) -> None:
        nonlocal told
        tenth = min(10 * done // total, 10)
        if tenth > told:
            told = tenth
            click.echo(f"{10 * tenth:>3} %  {amount(done)} of {amount(total)}  {name}", err=True)

    return report
