"""Twenty actions on files of the standard library, with the bundled model, in editors of three kinds.

The model is small and its rewrites are often wrong; what is tested is what becomes of them, whatever they are.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from lsp.asking import action, apply, execute, from_server, messages
from lsp.client import Client
from lsp.profiles import ANSWERS, FULL, MEDIUM, MINIMAL
from lsp.warm import WarmPython

COMMAND = [sys.executable, "-m", "starfill", "--stdio"]
PROFILES = {"full": FULL, "medium": MEDIUM, "minimal": MINIMAL}
SECONDS = 120
CASES = [
    ("simplify", "calendar", "isleap"),
    ("simplify", "calendar", "monthrange"),
    ("simplify", "fnmatch", "filter"),
    ("simplify", "glob", "escape"),
    ("simplify", "genericpath", "isfile"),
    ("simplify", "genericpath", "commonprefix"),
    ("simplify", "shlex", "join"),
    ("add docstring", "calendar", "monthrange"),
    ("add docstring", "heapq", "heappush"),
    ("add docstring", "colorsys", "rgb_to_yiq"),
    ("add type annotations", "calendar", "isleap"),
    ("add type annotations", "bisect", "insort_right"),
    ("add type annotations", "shlex", "quote"),
    ("optimise", "genericpath", "getsize"),
    ("optimise", "string", "capwords"),
    ("optimise", "colorsys", "yiq_to_rgb"),
    ("explain", "calendar", "isleap"),
    ("explain", "heapq", "heappop"),
    ("explain", "functools", "update_wrapper"),
    ("explain", "shlex", "split"),
]


@dataclass(frozen=True)
class Ended:
    """How an action ended: with the file's new text, an explanation, or a sentence that says why not.

    marked: the editor was told that the new text does not parse.
    """

    kind: str
    text: str
    marked: bool = False


@pytest.fixture(scope="module", params=list(PROFILES))
def editor(request: pytest.FixtureRequest, warm_with_torch: WarmPython) -> Iterator[tuple[str, Client]]:
    shown = {"window/showDocument": lambda params: {"success": True}}
    applied = {"workspace/applyEdit": lambda params: {"applied": True}}
    answers = {**ANSWERS, **shown, **applied}
    with Client.start(COMMAND, PROFILES[request.param], answers=answers, popen=warm_with_torch.popen) as client:
        client.wait_for_state("ready", 60)
        yield request.param, client


@pytest.fixture(scope="module")
def endings() -> dict[tuple[str, str], dict[str, Ended]]:
    """Of each case in each editor so far."""
    return {}


@pytest.mark.parametrize(
    ("number", "title", "module", "name"),
    [(number, *case) for number, case in enumerate(CASES)],
    ids=[f"{title} {module}.{name}" for title, module, name in CASES],
)
def test_an_action(
    editor: tuple[str, Client],
    endings: dict[tuple[str, str], dict[str, Ended]],
    number: int,
    title: str,
    module: str,
    name: str,
) -> None:
    profile, client = editor
    path = Path(importlib.import_module(module).__file__ or "")
    text = path.read_bytes().decode()
    first, last = lines_of(name, text)
    uri = path.as_uri().replace(path.name, f"{number}/{path.name}")
    client.open(uri, text)
    # Every other time nothing is selected, and the cursor stands in the function.
    start, end = ((first, 0), (last, 0)) if number % 2 else ((last - 1, 4), (last - 1, 4))
    ended = carried_out(client, title, uri, start, end, text)
    client.wait_for_state("ready")
    client.close(uri)
    if ended.kind == "edit":
        before, after = text.splitlines(keepends=True), ended.text.splitlines(keepends=True)
        assert ended.text != text
        assert after[:first] == before[:first]
        assert after[len(after) - len(before[last:]) :] == before[last:]
        assert parses(ended.text) or ended.marked
    elif ended.kind == "shown":
        assert title == "explain"
        assert len(ended.text.split()) > 3
    others = endings.setdefault((title, f"{module}.{name}"), {})
    others[profile] = ended
    assert len({each for each in others.values() if each.kind != "shown"}) <= 1, others  # greedy: the same everywhere


def test_most_rewrites_are_edits(endings: dict[tuple[str, str], dict[str, Ended]]) -> None:
    assert len(endings) == len(CASES)
    assert {len(each) for each in endings.values()} == {len(PROFILES)}
    for profile in PROFILES:
        kinds = Counter(each[profile].kind for each in endings.values())
        assert kinds["shown"] == 4
        assert kinds["edit"] >= 4, endings


def lines_of(name: str, text: str) -> tuple[int, int]:
    """The first line of a function or of the comment right above it, and the line after it, counted from 0."""
    (node,) = (each for each in ast.parse(text).body if isinstance(each, ast.FunctionDef) and each.name == name)
    first, lines = node.lineno - 1, text.splitlines()
    while lines[first - 1].startswith("#"):
        first -= 1
    return first, node.end_lineno or 0


def carried_out(client: Client, title: str, uri: str, start: tuple[int, int], end: tuple[int, int], text: str) -> Ended:
    """Does what the editor does with a chosen action, to its end."""
    told, asked, shown = len(messages(client)), len(edits_asked_for(client)), len(from_server(client, SHOW, 0))
    chosen = action(client, title, uri, start, end)
    if chosen.get("data") is not None:
        resolved = client.answer(client.ask("codeAction/resolve", chosen), SECONDS)
        if resolved.get("edit"):
            marked = WARNING in json.dumps(resolved) or any(WARNING in each for each in messages(client)[told:])
            return Ended("edit", apply(text, edits_of(resolved["edit"], uri, client.versions[uri])), marked)
        return Ended("message", said(client, told))
    execute(client, chosen)
    client.wait(
        lambda: (
            len(messages(client)) > told
            or len(edits_asked_for(client)) > asked
            or (title == "explain" and len(from_server(client, SHOW, 0)) > shown)
        ),
        "an outcome",
        SECONDS,
    )
    marked = any(WARNING in each for each in messages(client)[told:])
    if marked:  # said before the edit where it can't carry the words itself
        client.wait(lambda: len(edits_asked_for(client)) > asked, "the edit", SECONDS)
    if len(edits_asked_for(client)) > asked:
        params = edits_asked_for(client)[-1]
        marked = marked or WARNING in json.dumps(params)
        return Ended("edit", apply(text, edits_of(params["edit"], uri, client.versions[uri])), marked)
    if title != "explain":
        return Ended("message", said(client, told))
    client.wait_for_state("ready", SECONDS)
    if len(from_server(client, SHOW, 0)) == shown:
        return Ended("shown", said(client, told))
    page = from_server(client, SHOW)[-1]["uri"]
    if page.startswith("starfill:"):
        return Ended("shown", client.request("workspace/textDocumentContent", {"uri": page})["text"])
    return Ended("shown", Path(unquote(page.removeprefix("file://"))).read_text(encoding="utf-8"))


SHOW = "window/showDocument"
WARNING = "does not parse"


def parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def edits_asked_for(client: Client) -> list[Any]:
    return from_server(client, "workspace/applyEdit", 0)


def said(client: Client, told: int) -> str:
    client.wait(lambda: len(messages(client)) > told, "a message", SECONDS)
    return messages(client)[told]


def edits_of(edit: dict[str, Any], uri: str, version: int) -> list[dict[str, Any]]:
    """The edits of the one document that is changed."""
    if "documentChanges" in edit:
        (change,) = edit["documentChanges"]
        assert change["textDocument"] == {"uri": uri, "version": version}
        edits: list[dict[str, Any]] = change["edits"]
        return edits
    ((changed, edits),) = edit["changes"].items()
    assert changed == uri
    return edits
