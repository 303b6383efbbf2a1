"""`starfill complete`: one completion on a command line."""

from __future__ import annotations

import asyncio
import json
import sys

import click

from starfill.cli.options import loaded, model_options, settings_from


@click.command()
@click.argument("place", metavar="FILE:LINE:COL")
@click.option("--json", "as_json", is_flag=True, help="Print the candidates and the figures of the request as JSON.")
@click.option("--candidates", default=1, show_default=True, help="How many different completions to ask for.")
@model_options
def complete(place: str, as_json: bool, candidates: int, **chosen: str) -> None:
    """Print what would be inserted at FILE:LINE:COL (from 1, columns in characters).

    Exits with 1 if there is nothing to insert; the reason is printed to stderr.
    """
    from starfill.cli.places import locate

    settings = settings_from(candidates=candidates, **chosen)
    document, offset = locate(place)
    with loaded(settings) as assistant:
        completion = asyncio.run(assistant.complete(document, offset, automatic=False, candidates=candidates))
    texts = [edit.text for edit in completion.items]
    if as_json:
        click.echo(json.dumps({"candidates": texts, **completion.figures.as_json()}))
    else:
        click.echo("\n".join(texts) if len(texts) > 1 else "".join(texts), nl=bool(texts))
    if not texts:
        click.echo(f"starfill: nothing to suggest: {completion.figures.reason}", err=True)
        sys.exit(1)
