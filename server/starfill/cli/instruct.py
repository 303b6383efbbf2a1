"""`starfill instruct`: the code actions on a command line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from starfill.cli.options import instructing, model_options, settings_from
from starfill.errors import RequestError, SettingsError

if TYPE_CHECKING:
    from rich.console import Console

    from starfill.assist.instruct.actions import Action
    from starfill.assist.instruct.outcome import Outcome
    from starfill.config.settings import Settings
    from starfill.text.document import Document


@click.command()
@click.argument("words", metavar="ACTION FILE:FROM-TO", nargs=-1)
@click.option("--ask", metavar="TEXT", help="An instruction in your own words, instead of ACTION.")
@click.option("--problem", metavar="TEXT", default="", help="What is wrong, for fix.")
@click.option("--diff", is_flag=True, help="Print the change as a unified diff.")
@click.option("--apply", is_flag=True, help="Change the file.")
@click.option("--force", is_flag=True, help="With --apply: also where the result does not parse.")
@click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    help="A JSON file of settings, with instructions of your own.",
)
@model_options
def instruct(
    words: tuple[str, ...],
    ask: str | None,
    problem: str,
    diff: bool,
    apply: bool,
    force: bool,
    file: Path | None,
    **chosen: str,
) -> None:
    """Have code explained or rewritten.

    ACTION is explain, refactor, docstring, types, tests, fix, optimise or the title of an instruction of your own.
    FILE:FROM-TO are lines, counted from 1; FILE:LINE means the function or class around that line.

    Prints the text, or what the code becomes.
    """
    from starfill.assist.instruct.outcome import Instruction
    from starfill.cli.places import locate_lines
    from starfill.text.document import applied
    from starfill.util.text_files import patch, write

    if len(words) != (2 if ask is None else 1):
        raise SettingsError("give ACTION FILE:FROM-TO, or --ask TEXT FILE:FROM-TO")
    settings = _settings(file, chosen)
    path, document, selection = locate_lines(words[-1])
    action = _action(settings, document, words[0], ask)
    _check(action, problem, diff, apply, force)
    instruction = Instruction(document, selection, action, problem)
    with instructing(settings) as instructor, _streaming() as on_text:
        outcome = asyncio.run(instructor.instruct(instruction, on_text))
    after = applied(document, outcome.edits).text
    if apply:
        if outcome.warning and not force:
            raise RequestError(f"the result {outcome.warning}, so {path} is left as it is: look at it with --diff")
        write(path, document.text, after)
    elif diff:
        _show_patch(patch(path, document.text, after))
    else:
        _show(outcome)
    if outcome.warning:
        click.echo(f"starfill: the result {outcome.warning}", err=True)


def _settings(file: Path | None, chosen: Mapping[str, str]) -> Settings:
    """The settings of the file, overridden by the command line. A model that is named there carries out the action."""
    from starfill.util.text_files import read

    source = click.get_current_context().get_parameter_source
    given: dict[str, Any] = {
        name: value for name, value in chosen.items() if source(name) is ParameterSource.COMMANDLINE
    }
    if given.keys() & {"model", "engine_url"}:
        given["instruct_model"] = ""
    if file is None:
        return settings_from(**given)
    try:
        stored = json.loads(read(file))
    except ValueError as error:
        raise SettingsError(f"{file} is not JSON ({error}): write the settings as an object") from None
    if isinstance(stored, Mapping) and isinstance(stored.get("starfill"), Mapping):
        stored = stored["starfill"]
    if not isinstance(stored, Mapping):
        raise SettingsError(f"{file} must hold an object with settings")
    return settings_from(**{**stored, **given})


def _action(settings: Settings, document: Document, name: str, ask: str | None) -> Action:
    from starfill.assist.instruct.actions import ACTIONS, actions_for, custom_action

    if ask is not None:
        if not ask.strip():
            raise SettingsError("--ask must not be empty")
        return custom_action(ask)
    actions = {action.name: action for action in actions_for(settings, document.language_id)}
    if name in actions:
        return actions[name]
    if name in ACTIONS or any(each.title == name for each in settings.instructions):
        raise SettingsError(f'the action "{name}" is not meant for {document.language_id}')
    raise SettingsError(f'there is no action "{name}": choose one of {", ".join(actions)}, or give --ask TEXT')


def _check(action: Action, problem: str, diff: bool, apply: bool, force: bool) -> None:
    """Check the combination of options before a model is loaded."""
    from starfill.assist.instruct.actions import Placement

    if problem and action.name != "fix":
        raise SettingsError("--problem is for the action fix")
    if diff and apply:
        raise SettingsError("--diff and --apply exclude each other: give one of them")
    if force and not apply:
        raise SettingsError("--force goes with --apply")
    if (diff or apply) and action.placement in (Placement.SHOW, Placement.TESTS):
        raise SettingsError(f"{action.name} changes no file: leave out --{'diff' if diff else 'apply'}")


@contextmanager
def _streaming() -> Iterator[Callable[[str, int], None]]:
    """On a terminal, show the end of the answer while the model writes it."""
    console = _console()
    if console is None:
        yield lambda text, tokens: None
        return
    from rich.live import Live
    from rich.markdown import Markdown

    with Live(console=console, transient=True) as live:

        def show(text: str, tokens: int) -> None:
            live.update(Markdown("\n".join(text.split("\n")[-max(console.height - 4, 1) :])))

        yield show


def _show(outcome: Outcome) -> None:
    from starfill.assist.instruct.actions import Placement
    from starfill.code.languages import fence_name

    console = _console()
    if console is None:
        click.echo(outcome.text.rstrip("\n"))
    elif outcome.instruction.action.placement is Placement.SHOW:
        from rich.markdown import Markdown

        console.print(Markdown(outcome.text))
    else:
        _highlight(console, outcome.text, fence_name(outcome.instruction.document.language_id))


def _show_patch(data: bytes) -> None:
    console = _console()
    if console is None:
        click.echo(data, nl=False)
    else:
        _highlight(console, data.decode(), "diff")


def _highlight(console: Console, text: str, language: str) -> None:
    from rich.syntax import Syntax

    console.print(Syntax("", language, background_color="default").highlight(text.rstrip("\n")), soft_wrap=True)


def _console() -> Console | None:
    """None where stdout is no terminal."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    return Console()
