"""The command line: thin commands, each a few calls. Errors meant for users exit with 2 and one sentence."""

from __future__ import annotations

from typing import Any

import click

from starfill import __version__
from starfill.cli.complete import complete
from starfill.cli.demo import demo
from starfill.cli.doctor import doctor
from starfill.cli.engine import engine
from starfill.cli.evaluate import evaluate
from starfill.cli.generate import generate
from starfill.cli.instruct import instruct
from starfill.cli.models import models
from starfill.cli.serve import serve
from starfill.errors import StarfillError


class Commands(click.Group):
    """Shows our errors as one sentence and exits with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StarfillError as error:
            click.echo(f"starfill: {error}", err=True)
            ctx.exit(2)


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="starfill")
@click.option("--stdio", is_flag=True, help="Serve an editor over stdin and stdout; the same as `starfill serve`.")
@click.pass_context
def main(ctx: click.Context, stdio: bool) -> None:
    """A local code assistant for any editor: completions and the state to make them fast."""
    if ctx.invoked_subcommand is None:
        if stdio:
            ctx.invoke(serve)
        else:
            click.echo(ctx.get_help())


for command in (serve, complete, doctor, demo, instruct, models, generate, evaluate, engine):
    main.add_command(command)
