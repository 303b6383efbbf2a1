"""The language server for one document, in an editor's terms. Columns count characters (utf-32)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from starfill.demo.buffer import Buffer
from starfill.demo.change import Location, TextChange
from starfill.demo.ghost_text import Ghost
from starfill.demo.rpc import ServerConnection

CAPABILITIES = {
    "general": {"positionEncodings": ["utf-32"]},
    "textDocument": {
        "inlineCompletion": {},
        "codeAction": {"disabledSupport": True, "codeActionLiteralSupport": {"codeActionKind": {"valueSet": [""]}}},
    },
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}, "textDocumentContent": {}},
    "window": {"workDoneProgress": True, "showDocument": {"support": True}, "showMessage": {}},
}
_INVOKED, _AUTOMATIC = 1, 2
Json = dict[str, Any]


class Client:
    """version: of the document as the server has it, 0 before it was opened."""

    def __init__(self, connection: ServerConnection, buffer: Buffer) -> None:
        self._connection, self._buffer = connection, buffer
        self._tokens = count(1)
        self.version = 0

    async def start(self, command: Sequence[str], options: Mapping[str, Any]) -> None:
        await self._connection.start(command)
        await self._connection.request(
            "initialize",
            {"processId": None, "rootUri": None, "capabilities": CAPABILITIES, "initializationOptions": options},
        )
        self._connection.notify("initialized", {})

    async def stop(self) -> None:
        await self._connection.stop()

    def open(self, text: str) -> None:
        self.version = 1
        document = self._document | {"languageId": self._buffer.language, "version": self.version, "text": text}
        self._connection.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, change: TextChange) -> None:
        self.version += 1
        document = self._document | {"version": self.version}
        changes = [{"range": _range(change.start, change.end), "text": change.text.replace("\n", self._buffer.newline)}]
        self._connection.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    async def complete(self, at: Location, invoked: bool) -> Ghost | None:
        context = {"triggerKind": _INVOKED if invoked else _AUTOMATIC}
        place = {"textDocument": self._document, "position": _position(at), "context": context}
        answer = await self._connection.request("textDocument/inlineCompletion", place)
        for item in answer["items"]:
            start, end = item["range"]["start"], item["range"]["end"]
            if start == _position(at) and end["line"] == start["line"]:
                text = item["insertText"].replace("\r\n", "\n")
                return Ghost(text, end["character"] - start["character"])
        return None

    async def last_completion(self) -> Json:
        figures: Json = await self._connection.request("starfill/lastCompletion", self._document)
        return figures

    async def accepted(self) -> None:
        await self._execute("starfill.accepted", self._buffer.uri)

    async def actions(self, start: Location, end: Location) -> list[Json]:
        """What the server offers for a selection."""
        where = {"textDocument": self._document, "range": _range(start, end), "context": {"diagnostics": []}}
        actions: list[Json] = await self._connection.request("textDocument/codeAction", where)
        return actions

    async def carry_out(self, action: Json) -> None:
        """Start an action. Its results arrive as requests of the server."""
        await self._execute(action["command"]["command"], *action["command"]["arguments"])

    async def explain(self, start: Location, end: Location) -> None:
        order = {"uri": self._buffer.uri, "range": _range(start, end), "action": "explain", "version": self.version}
        await self._execute("starfill.instruct", order)

    async def page(self, uri: str) -> str:
        """The Markdown of a document that only the server has."""
        text: str = (await self._connection.request("workspace/textDocumentContent", {"uri": uri}))["text"]
        return text

    def stop_work(self, token: str) -> None:
        self._connection.notify("window/workDoneProgress/cancel", {"token": token})

    @property
    def _document(self) -> Json:
        return {"uri": self._buffer.uri}

    async def _execute(self, command: str, *arguments: Any) -> None:
        token = f"demo-{next(self._tokens)}"
        params = {"command": command, "arguments": arguments, "workDoneToken": token}
        await self._connection.request("workspace/executeCommand", params)


def _position(at: Location) -> Json:
    return {"line": at[0], "character": at[1]}


def _range(start: Location, end: Location) -> Json:
    return {"start": _position(start), "end": _position(end)}


def location(position: Json) -> Location:
    return position["line"], position["character"]
