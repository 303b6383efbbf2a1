"""What the commands share: the settings as options, and a loaded model with a progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from starfill.errors import SettingsError
from starfill.settings import Settings, parse

if TYPE_CHECKING:
    from starfill.assist.assistant import Assistant


def model_options(command: Any) -> Any:
    """The settings that the headless commands share."""
    for option in (
        click.option("--layout", default="auto", help="auto, anchored-psm, psm or spm."),
        click.option("--device", default="auto", help="auto, cpu or cuda."),
        click.option("--model", default="bundled", help="A checkpoint folder; the bundled model without it."),
    ):
        command = option(command)
    return command


def settings_from(**values: Any) -> Settings:
    """Raises SettingsError for the first wrong value: on a command line nothing is silently defaulted."""
    settings, problems = parse(values)
    if problems:
        raise SettingsError(problems[0])
    return settings


@contextmanager
def loaded(settings: Settings) -> Iterator[Assistant]:
    """A model, with a progress bar on a terminal while it loads."""
    from rich.console import Console
    from rich.progress import Progress

    from starfill.app import LocalBackend

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("loading the model", total=1.0)
        assistant = LocalBackend().load(
            settings, lambda done, message: bar.update(task, completed=done, description=message)
        )
    try:
        yield assistant
    finally:
        assistant.close()
