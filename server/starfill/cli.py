"""The command line: thin commands, each a few calls. Errors meant for users exit with 2 and one sentence."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import click
from click.core import ParameterSource

from starfill import __version__
from starfill.commands.demo import demo
from starfill.commands.engine import engine
from starfill.commands.evaluate import evaluate
from starfill.commands.generate import generate
from starfill.commands.instruct import instruct
from starfill.commands.models import models
from starfill.commands.options import by_json_names, engine_options, loaded, model_options, settings_from
from starfill.errors import SettingsError, StarfillError


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


@main.command()
@click.option("--stdio", is_flag=True, help="Over stdin and stdout (the default).")
@click.option("--tcp", metavar="HOST:PORT", help="Over TCP instead; HOST must be this machine (127.0.0.1, ::1).")
@engine_options
def serve(stdio: bool, tcp: str | None, **chosen: str) -> None:
    """Run the language server. Options of an engine win over the editor's settings."""
    from starfill.app import LocalBackend
    from starfill.lsp.transport import serve_stdio, serve_tcp

    settings_from(**chosen)
    source = click.get_current_context().get_parameter_source
    fixed = by_json_names(
        {name: value for name, value in chosen.items() if source(name) is ParameterSource.COMMANDLINE}
    )
    if tcp and stdio:
        raise SettingsError("--stdio and --tcp exclude each other: give one of them")
    if tcp:
        host, _, port = tcp.rpartition(":")
        if not host or not port.isdecimal():
            raise SettingsError(f"--tcp {tcp} is not HOST:PORT: write it like 127.0.0.1:4090")
        serve_tcp(LocalBackend(), host.strip("[]"), int(port), fixed)
    serve_stdio(LocalBackend(), fixed)


@main.command()
@click.argument("place", metavar="FILE:LINE:COL")
@click.option("--json", "as_json", is_flag=True, help="Print the candidates and the figures of the request as JSON.")
@click.option("--candidates", default=1, show_default=True, help="How many different completions to ask for.")
@model_options
def complete(place: str, as_json: bool, candidates: int, **chosen: str) -> None:
    """Print what would be inserted at FILE:LINE:COL (from 1, columns in characters).

    Exits with 1 when there is nothing to insert; the reason goes to stderr.
    """
    from starfill.headless import locate

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


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@model_options
def doctor(as_json: bool, **chosen: str) -> None:
    """Check that everything works here; exits with 0 only if all is well."""
    from starfill.doctor import examine

    settings = settings_from(**chosen)
    checks = []
    for check in examine(settings, loaded):
        checks.append(check)
        if not as_json:
            mark = click.style("ok  ", fg="green") if check.ok else click.style("FAIL", fg="red", bold=True)
            click.echo(f"{mark} {check.name:<28} {check.detail}")
    if as_json:
        click.echo(json.dumps({"ok": all(c.ok for c in checks), "checks": [c.as_json() for c in checks]}, indent=2))
    sys.exit(0 if all(check.ok for check in checks) else 1)


main.add_command(demo)
main.add_command(instruct)
main.add_command(models)
main.add_command(generate)
main.add_command(evaluate)
main.add_command(engine)
