"""`starfill engine`: which engines on other machines may be sent code.

The language server starts through the same command line, so imports that only these commands need are inside them.
"""

from __future__ import annotations

import click


@click.group()
def engine() -> None:
    """Serving engines on other machines: which of them may be sent code."""


@engine.command()
@click.argument("url")
def allow(url: str) -> None:
    """Allow the engine at URL, for all editors and commands on this machine."""
    from starfill.config import allowed_engines

    origin = _origin(url)
    allowed_engines.allow(origin)
    click.echo(f"{origin} may be sent code from now on; `starfill engine revoke {origin}` takes that back")


@engine.command()
@click.argument("url")
def revoke(url: str) -> None:
    """Take that back; servers that run now go on until their model is loaded again."""
    from starfill.config import allowed_engines

    origin = _origin(url)
    click.echo(f"{origin} {'is no longer allowed' if allowed_engines.revoke(origin) else 'was not allowed'}")


@engine.command("list")
def list_engines() -> None:
    """List what is allowed."""
    from starfill.config import allowed_engines

    click.echo("\n".join(allowed_engines.allowed()) or "none: engines on this machine itself need no permission")


def _origin(url: str) -> str:
    from starfill.remote.address import Address

    return Address.parse(url).origin
