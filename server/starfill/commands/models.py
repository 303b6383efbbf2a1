"""`starfill models`: look at checkpoints and at what Starfill keeps of them."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def models() -> None:
    """Look at checkpoints and at what Starfill keeps of them."""


@models.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def inspect(path: Path, as_json: bool) -> None:
    """Print a checkpoint's architecture, quantization, tensors and the memory it needs."""
    from starfill.app import model_folder
    from starfill.engine.inspect import inspect as look

    facts = look(model_folder(str(path)))
    if as_json:
        click.echo(json.dumps({fact.key: fact.value for fact in facts}, indent=2))
        return
    for fact in facts:
        click.echo(f"{fact.label:<16} {fact.shown}")


@models.command()
@click.option("--clear", is_flag=True, help="Remove all of it.")
def cache(clear: bool) -> None:
    """Show (or clear) the repacked weights that make the next start of a model fast."""
    from starfill.app import packed_cache

    packed = packed_cache()
    if clear:
        click.echo(f"{packed.clear() / 1e6:.0f} MB freed in {packed.folder}")
        return
    entries = packed.entries()
    for entry in entries:
        click.echo(f"{entry.nbytes / 1e6:>10.1f} MB  {entry.path}")
    total = sum(entry.nbytes for entry in entries)
    click.echo(f"{total / 1e6:>10.1f} MB  in {packed.folder}, bounded at {packed.limit / 1e9:.0f} GB")
