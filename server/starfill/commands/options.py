"""What the commands share: the settings as options, and a loaded model with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from starfill.errors import SettingsError
from starfill.settings import Settings, parse

if TYPE_CHECKING:
    from starfill.app import Opened
    from starfill.assist.assistant import Assistant
    from starfill.assist.instruct.instructor import Instructor


def model_options(command: Any) -> Any:
    """The settings that the headless commands share."""
    for option in (
        click.option("--layout", default="auto", help="auto, anchored-psm, psm, spm or prefix."),
        click.option("--family", default="auto", help="How the model is spoken to; told from its files without it."),
        click.option("--device", default="auto", help="auto, cpu or cuda."),
        click.option(
            "--model", default="bundled", help="A folder or a pulled repository; the bundled model without it."
        ),
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
    """An assistant, with a progress bar on a terminal while its model loads."""
    from starfill.app import LocalBackend

    with loading() as report:
        assistant = LocalBackend().load(settings, report)
    try:
        if assistant.problem:
            raise SettingsError(assistant.problem)
        yield assistant
    finally:
        assistant.close()


@contextmanager
def instructing(settings: Settings) -> Iterator[Instructor]:
    """An instructor, with the same progress bar."""
    from starfill.app import LocalBackend

    with loading() as report:
        instructor = LocalBackend().load_instructor(settings, report)
    try:
        yield instructor
    finally:
        instructor.close()


@contextmanager
def opened(settings: Settings) -> Iterator[Opened]:
    """A model, its tokenizer and dialect, with the same progress bar."""
    from starfill.app import LocalBackend

    with loading() as report:
        model = LocalBackend().open(settings, report)
    try:
        yield model
    finally:
        model.close()


@contextmanager
def loading() -> Iterator[Callable[[float, str], None]]:
    """A progress bar on a terminal, and what to report to it: the fraction done and what is being done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("loading the model", total=1.0)
        yield lambda done, message: bar.update(task, completed=done, description=message)
