"""What the commands share: the settings as options, and loading a model with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from starfill.config.parse import FIELDS, parse
from starfill.config.settings import Settings
from starfill.errors import ConsentError, SettingsError

if TYPE_CHECKING:
    from starfill.app.backend import Opened
    from starfill.assist.completion.assistant import Assistant
    from starfill.assist.instruct.instructor import Instructor


T = TypeVar("T")
NAMES = {item.name: name for name, item in FIELDS.items()}


def engine_options(command: Any) -> Any:
    """A serving engine instead of a model in this process."""
    for option in (
        click.option("--engine-api-key-env", metavar="NAME", default="", help="The variable that holds its key."),
        click.option("--engine-tokenizer", metavar="MODEL", default="", help="A model here with its tokenizer."),
        click.option(
            "--engine-family", default="auto", help="The family of its model; without it, told from the model's name."
        ),
        click.option("--engine-model", metavar="NAME", default="", help="Its model, where it has several."),
        click.option(
            "--engine-kind", default="auto", help="auto, openai, vllm, sglang, tgi, llama.cpp or llama-cpp-python."
        ),
        click.option(
            "--engine-url", metavar="URL", default="", help="Ask this serving engine instead of a model here."
        ),
    ):
        command = option(command)
    return command


def model_options(command: Any) -> Any:
    """The settings that the headless commands share."""
    command = engine_options(command)
    for option in (
        click.option("--layout", default="auto", help="auto, anchored-psm, psm, spm or prefix."),
        click.option("--family", default="auto", help="The family of the model; without it, told from its files."),
        click.option("--device", default="auto", help="auto, cpu or cuda."),
        click.option(
            "--model", default="bundled", help="A folder or a pulled repository; the bundled model without it."
        ),
    ):
        command = option(command)
    return command


def settings_from(**values: Any) -> Settings:
    """Raises SettingsError for the first wrong value: on a command line no default replaces it."""
    settings, problems = parse(by_json_names(values))
    if problems:
        raise SettingsError(problems[0])
    return settings


def by_json_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their names in JSON, from those in Python, which `settings.Settings` and the options have."""
    return {NAMES.get(name, name): value for name, value in values.items()}


@contextmanager
def loaded(settings: Settings) -> Iterator[Assistant]:
    """An assistant, with a progress bar on a terminal while its model loads."""
    from starfill.app.backend import LocalBackend
    from starfill.assist.completion.assistant import Assistant

    assistant = _ready(LocalBackend().load, settings)
    assert isinstance(assistant, Assistant), "no option gives an engine a latency budget"
    try:
        if assistant.problem:
            raise SettingsError(assistant.problem)
        yield assistant
    finally:
        assistant.close()


@contextmanager
def instructing(settings: Settings) -> Iterator[Instructor]:
    """An instructor, with the same progress bar."""
    from starfill.app.backend import LocalBackend

    instructor = _ready(LocalBackend().load_instructor, settings)
    try:
        yield instructor
    finally:
        instructor.close()


@contextmanager
def opened(settings: Settings) -> Iterator[Opened]:
    """A model, its tokenizer and dialect, with the same progress bar."""
    from starfill.app.backend import LocalBackend

    backend = LocalBackend()
    model = _ready(backend.open_engine if settings.engine_url else backend.open, settings)
    try:
        yield model
    finally:
        model.close()


def _ready(load: Callable[[Settings, Callable[[float, str], None]], T], settings: Settings) -> T:
    """What was loaded, with a progress bar. If it needs an engine on another machine, the user is asked on a
    terminal.
    """
    try:
        with loading() as report:
            return load(settings, report)
    except ConsentError as error:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        click.echo(f"{error.origin} is another machine: the code around the cursor would be sent there.", err=True)
        if not click.confirm(f"Allow {error.origin} from now on?", err=True):
            raise
        from starfill.config import allowed_engines

        allowed_engines.allow(error.origin)
        return _ready(load, settings)


@contextmanager
def loading() -> Iterator[Callable[[float, str], None]]:
    """A progress bar on a terminal, and a function to report to it: the fraction done and what is being done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("loading the model", total=1.0)
        yield lambda done, message: bar.update(task, completed=done, description=message)
