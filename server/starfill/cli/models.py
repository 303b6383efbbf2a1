"""`starfill models`: look at checkpoints and at what Starfill keeps of them."""

from __future__ import annotations

import json

import click

from starfill.cli.hub import list_models, pull, remove
from starfill.cli.quantize import quantize


@click.group()
def models() -> None:
    """Look at checkpoints and at what Starfill keeps of them."""


@models.command()
@click.argument("model")
@click.option("--documents", type=click.IntRange(1), default=1, show_default=True, help="How many are open.")
@click.option("--context", type=click.IntRange(1), help="Tokens kept of each; without it what completing asks for.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def inspect(model: str, documents: int, context: int | None, as_json: bool) -> None:
    """Print what a checkpoint is, the memory it needs and whether that fits here.

    MODEL is a folder, a repository that was pulled, or `bundled`.
    """
    from starfill.app.backend import model_folder
    from starfill.engine.loading.inspect import inspect as look

    facts = look(model_folder(model), documents, context)
    if as_json:
        click.echo(json.dumps({fact.key: fact.value for fact in facts}, indent=2))
        return
    for fact in facts:
        click.echo(f"{fact.label:<16} {fact.shown}")


@models.command()
@click.option("--clear", is_flag=True, help="Remove all of it.")
def cache(clear: bool) -> None:
    """Show (or clear) the repacked weights that make the next start of a model fast."""
    from starfill.app.backend import packed_cache

    packed = packed_cache()
    if clear:
        click.echo(f"{packed.clear() / 1e6:.0f} MB freed in {packed.folder}")
        return
    entries = packed.entries()
    for entry in entries:
        click.echo(f"{entry.nbytes / 1e6:>10.1f} MB  {entry.path}")
    total = sum(entry.nbytes for entry in entries)
    click.echo(f"{total / 1e6:>10.1f} MB  in {packed.folder}, bounded at {packed.limit / 1e9:.0f} GB")


@models.command()
@click.option("--clear", is_flag=True, help="Remove all of it.")
def states(clear: bool) -> None:
    """Show (or clear) the state of documents that is kept for the next start; see the setting savedStateBytes."""
    from starfill.config.folders import saved_states
    from starfill.engine.kv import disk_store

    folder = saved_states()
    if clear:
        click.echo(f"{disk_store.clear(folder) / 1e6:.1f} MB freed in {folder}")
        return
    found = disk_store.entries(folder)
    for entry in found:
        click.echo(f"{entry.nbytes / 1e6:>10.1f} MB  {len(entry.ids):>6} tokens  {entry.document}")
    click.echo(f"{sum(entry.nbytes for entry in found) / 1e6:>10.1f} MB  in {folder}")


models.add_command(pull)
models.add_command(list_models)
models.add_command(remove)
models.add_command(quantize)
