"""`starfill doctor`: does everything work here, and how fast is it?"""

from __future__ import annotations

import asyncio
import json
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import click

from starfill.cli.options import loaded, model_options, settings_from
from starfill.config.settings import Settings
from starfill.errors import StarfillError
from starfill.text.document import Document

if TYPE_CHECKING:
    from starfill.assist.completion.assistant import Assistant
    from starfill.assist.completion.result import Completion

Load = Callable[[Settings], AbstractContextManager["Assistant"]]

BEFORE = '''"""Settings that a program keeps in a file."""

import json


def load(path):
    """Read the settings."""
    with open(path) as file:
        return json.'''
TYPED = "l"
AFTER = '''

def names(settings):
    """What has been set."""
    return sorted(settings)
'''


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    detail: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@model_options
def doctor(as_json: bool, **chosen: str) -> None:
    """Check that everything works here; exits with 0 only if all is well."""
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


def examine(settings: Settings, load: Load) -> Iterator[Check]:
    """The checks in order, each when it is done. A failure that makes the other checks pointless is the last one."""
    yield Check("Python", (3, 10) <= sys.version_info < (3, 15), f"{platform.python_version()} ({sys.executable})")
    try:
        yield Check("torch", True, version("torch"))
        with load(settings) as assistant:
            yield from _model_checks(assistant, settings)
            yield from _completion_checks(assistant, elsewhere=settings.completes_remotely)
    except (StarfillError, ImportError) as error:
        yield Check("model", False, str(error))


def _model_checks(assistant: Assistant, settings: Settings) -> Iterator[Check]:
    info = assistant.info
    dialect, elsewhere = assistant.dialect, settings.completes_remotely
    if elsewhere:
        yield Check("model", True, f"{info.name} ({info.architecture}) at {info.device}")
        yield Check("prompts are sent as", True, info.kernel)
    else:
        yield Check("model", True, f"{info.name} ({info.architecture}), {info.weight_bytes / 1e6:.0f} MB of weights")
        yield Check("device", True, info.device)
        yield Check("kernel", True, info.kernel + _why_not_faster())
    yield Check("family", True, dialect.family.name)
    if dialect.fim is None:
        yield Check(
            "sentinels", True, "none: the model can't fill in the middle, it completes the text before the cursor"
        )
    else:
        ids = dialect.fim.ids
        listed = ", ".join(f"{text} = {id}" for text, id in ids.items())
        yield Check("sentinels, one token each", len(set(ids.values())) == len(ids), listed)
    if elsewhere:
        return
    yield Check("key/value state per token", True, f"{info.kv_bytes_per_token / 1024:.1f} KiB")
    budget = assistant.engine.cache_bytes
    fitting = budget // (info.kv_bytes_per_token * assistant.context)
    detail = f"{fitting} with {assistant.context} tokens each in {budget / 2**20:.0f} MiB"
    yield Check("documents that fit", fitting > 0, detail)


def _why_not_faster() -> str:
    from starfill.engine.native.library import why_not

    reason = why_not()
    return f" (Starfill's own, 1.5 to 3.6 times as fast: {reason})" if reason else ""


def _completion_checks(assistant: Assistant, *, elsewhere: bool) -> Iterator[Check]:
    cold = _complete(assistant, BEFORE, 1)
    text = repr(cold.items[0].text) if cold.items else f"nothing: {cold.figures.reason}"
    asked = "completion" if assistant.dialect.fim is None else "fill-in-the-middle"
    yield Check(asked, cold.figures.generated_tokens > 0, f"return json. {text}")
    figures = cold.figures
    yield Check("cold completion", True, f"{figures.total_ms:.0f} ms, {figures.computed_tokens} tokens computed")
    assistant.accepted(cold.uri)  # so that TYPED isn't typed through it
    warm = _complete(assistant, BEFORE + TYPED, 2)
    figures = warm.figures
    few = figures.computed_tokens <= 4 or elsewhere  # not every engine reports what it computed
    yield Check("after one more character", few, f"{figures.total_ms:.0f} ms, {figures.computed_tokens} computed")
    assistant.forget(warm.uri)
    again = _complete(assistant, BEFORE + TYPED, 3)
    same = again.items == warm.items
    # An engine that also computes for others may round differently each time.
    yield Check(
        "warm answer = cold answer", same or elsewhere, f"{'the same' if same else 'not the same'}, token for token"
    )


def _complete(assistant: Assistant, before: str, version: int) -> Completion:
    document = Document.open("starfill:doctor.py", "python", version, before + AFTER)
    return asyncio.run(assistant.complete(document, len(before), candidates=1))
