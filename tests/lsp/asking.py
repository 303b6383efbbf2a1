"""Asking a server for code actions, as an editor does."""

from __future__ import annotations

import os
import signal
from typing import Any

from lsp.client import Client
from lsp.params import position

Place = tuple[int, int]
CREATE = "window/workDoneProgress/create"


def diagnostic(line: int, message: str, **more: Any) -> dict[str, Any]:
    return {"range": {"start": position(line, 0), "end": position(line, 3)}, "message": message} | more


def ask_actions(
    client: Client,
    uri: str,
    start: Place,
    end: Place,
    only: list[str] | None = None,
    diagnostics: list[dict[str, Any]] | None = None,
    trigger: int = 1,
) -> list[dict[str, Any]]:
    """The code actions for a range; trigger: 1 for a user who asks, 2 for an editor that only looks."""
    context: dict[str, Any] = {"diagnostics": diagnostics or [], "triggerKind": trigger}
    if only is not None:
        context["only"] = only
    where = {"start": position(*start), "end": position(*end)}
    params = {"textDocument": {"uri": uri}, "range": where, "context": context}
    actions: list[dict[str, Any]] = client.request("textDocument/codeAction", params)
    return actions


def action(client: Client, title: str, uri: str, start: Place, end: Place, **more: Any) -> dict[str, Any]:
    """The first action of this title, without our name."""
    actions = ask_actions(client, uri, start, end, **more)
    return next(each for each in actions if each["title"].removeprefix("Starfill: ").startswith(title))


def ask_resolve(client: Client, title: str, uri: str, start: Place, end: Place, **more: Any) -> int:
    """Sends the request; its id."""
    return client.ask("codeAction/resolve", action(client, title, uri, start, end, **more))


def execute(client: Client, command: dict[str, Any], token: str | None = None) -> Any:
    """Runs the command of a code action, or one that is the action itself."""
    inner = command["command"] if isinstance(command["command"], dict) else command
    params = {"command": inner["command"], "arguments": inner["arguments"]}
    return client.request("workspace/executeCommand", params | ({"workDoneToken": token} if token else {}))


def instruct(client: Client, *arguments: Any, token: str | None = None) -> Any:
    return execute(client, {"command": "starfill.instruct", "arguments": list(arguments)}, token)


def open_gate(client: Client, uri: str) -> None:
    """What the scripted instructor waits for in a document that begins with "#gate"."""
    client.request("workspace/executeCommand", {"command": "starfill.accepted", "arguments": [uri]})


def go_on(client: Client) -> None:
    """Ends what takes long in the scripted server, also what only begins."""
    assert client.process is not None
    os.kill(client.process.pid, signal.SIGUSR1)


def from_server(client: Client, method: str, how_many: int = 1) -> list[Any]:
    """The params of the server's requests of a method, once there are so many."""

    def found() -> list[Any]:
        return [each["params"] for each in list(client.requests) if each["method"] == method]

    client.wait(lambda: len(found()) >= how_many, f"{how_many} requests {method}")
    return found()


def apply(text: str, edits: list[dict[str, Any]]) -> str:
    """What becomes of a text of ASCII characters; the edits don't overlap."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def offset(place: dict[str, int]) -> int:
        return starts[place["line"]] + place["character"]

    for edit in sorted(edits, key=lambda edit: offset(edit["range"]["start"]), reverse=True):
        start, end = (offset(edit["range"][which]) for which in ("start", "end"))
        text = text[:start] + edit["newText"] + text[end:]
    return text


def messages(client: Client) -> list[str]:
    return [each["message"] for each in client.all("window/showMessage")]


def notes(client: Client) -> list[str]:
    """What the scripted assistant and instructor have noted."""
    client.open("file:///notes.py", "#notes")
    params = {"textDocument": {"uri": "file:///notes.py"}, "position": position(0, 0), "context": {"triggerKind": 2}}
    text: str = client.request("textDocument/inlineCompletion", params)["items"][0]["insertText"]
    return text.splitlines()


def progress_of(client: Client, token: str) -> list[dict[str, Any]]:
    """The values of a token's progress so far."""
    return [each["value"] for each in client.all("$/progress") if each["token"] == token]
