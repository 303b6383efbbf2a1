"""`starfill serve`: the language server."""

from __future__ import annotations

import click
from click.core import ParameterSource

from starfill.cli.options import by_json_names, engine_options, settings_from
from starfill.errors import SettingsError


@click.command()
@click.option("--stdio", is_flag=True, help="Over stdin and stdout (the default).")
@click.option("--tcp", metavar="HOST:PORT", help="Over TCP instead; HOST must be this machine (127.0.0.1, ::1).")
@engine_options
def serve(stdio: bool, tcp: str | None, **chosen: str) -> None:
    """Run the language server. Options of an engine win over the editor's settings."""
    from starfill.app.backend import LocalBackend
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
