"""`starfill demo`: how it feels, before anything is configured."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from starfill.cli.options import by_json_names, model_options, settings_from
from starfill.errors import SettingsError


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@model_options
def demo(file: Path | None, **chosen: str) -> None:
    """Try it: a full-screen editor where suggestions appear while you type.

    FILE is written only when you save it; without FILE a sample is opened.
    """
    settings_from(**chosen)
    if find_spec("textual") is None:
        raise SettingsError("demo needs Textual, which isn't installed here: pip install 'starfill[demo]'")
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):  # Textual draws on stderr
        raise SettingsError(
            "demo is an editor and needs a terminal: run it in one, or use `starfill complete FILE:LINE:COL`"
        )
    from starfill.demo.app import Demo
    from starfill.demo.buffer import Buffer

    buffer = Buffer.file(file) if file else Buffer.sample()
    Demo(buffer, [sys.executable, "-m", "starfill", "--stdio"], by_json_names(chosen)).run()
