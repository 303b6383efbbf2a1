"""The server's notifications and requests, and what they change on the screen."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from starfill.demo import status_text
from starfill.demo.applying import apply, edits_in
from starfill.demo.client import Json
from starfill.demo.menu import MenuEntry
from starfill.demo.rpc import NotificationHandler, RequestHandler

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel

    from starfill.demo.buffer import Buffer
    from starfill.demo.client import Client
    from starfill.demo.editor import TextEditor
    from starfill.demo.panel import Panel
    from starfill.demo.suggesting import Suggesting

SEVERITIES: Mapping[int, SeverityLevel] = {1: "error", 2: "warning", 3: "information"}
"""By the protocol's types of messages; others are for a log."""


class Screen(Protocol):
    """What the receiver needs of the application."""

    buffer: Buffer
    editor: TextEditor
    panel: Panel
    client: Client
    suggesting: Suggesting

    def show_state(self, text: str) -> None: ...

    def attempt(self, request: Coroutine[Any, Any, None]) -> None: ...

    async def choose(self, title: str, choices: Sequence[MenuEntry]) -> int | None: ...

    def say(self, message: str, severity: SeverityLevel) -> None: ...


class Receiver:
    def __init__(self, app: Screen) -> None:
        self._app = app
        self._report: Json = {}
        self._titles: dict[str, str] = {}  # of running work, by token
        self._cancellable: set[str] = set()
        self._progress = ""
        self.heard: Mapping[str, NotificationHandler] = {
            "starfill/status": self._status,
            "$/progress": self._work,
            "window/showMessage": self._message,
        }
        self.answers: Mapping[str, RequestHandler] = {
            "window/workDoneProgress/create": self._agree,
            "window/showMessageRequest": self._question,
            "window/showDocument": self._show,
            "workspace/textDocumentContent/refresh": self._refresh,
            "workspace/applyEdit": self._apply,
        }

    @property
    def stoppable(self) -> str | None:
        """The token of the latest work that can be stopped."""
        return next((token for token in reversed(self._titles) if token in self._cancellable), None)

    def gone(self, sentence: str) -> None:
        self._titles.clear()
        self._app.show_state(sentence)
        self._app.say(f"{sentence}. Your text is still here: save it and start again.", "error")

    def _status(self, report: Json) -> None:
        was_ready = self._report.get("state") in ("ready", "busy")
        self._report = report
        self._show_state()
        if report["state"] == "ready" and not was_ready:
            self._app.suggesting.ask()

    def _work(self, params: Json) -> None:
        token, value = params["token"], params["value"]
        if value["kind"] == "begin":
            self._titles[token] = value["title"]
            if value.get("cancellable"):
                self._cancellable.add(token)
        if value["kind"] == "end":
            self._titles.pop(token, None)
            self._progress = ""
        elif token in self._titles:
            self._progress = status_text.work(value, self._titles[token], token in self._cancellable)
        self._show_state()

    def _show_state(self) -> None:
        self._app.show_state(self._progress or status_text.state(self._report))

    def _message(self, params: Json) -> None:
        if severity := SEVERITIES.get(params["type"]):
            self._app.say(status_text.plain(params["message"]), severity)

    async def _agree(self, params: Json) -> None:
        return None

    async def _question(self, params: Json) -> Json | None:
        answers = params.get("actions") or []
        chosen = await self._app.choose(
            status_text.plain(params["message"]), [MenuEntry(each["title"]) for each in answers]
        )
        return None if chosen is None else answers[chosen]

    async def _show(self, params: Json) -> Json:
        page = params["uri"].startswith("starfill:")
        if page:
            self._app.attempt(self._read(params["uri"]))
        return {"success": page}

    async def _refresh(self, params: Json) -> None:
        if params["uri"] == self._app.panel.uri:
            self._app.attempt(self._read(params["uri"]))

    async def _read(self, uri: str) -> None:
        await self._app.panel.show(uri, await self._app.client.page(uri))

    async def _apply(self, params: Json) -> Json:
        app = self._app
        app.suggesting.changed()
        uri, version, edits = edits_in(params["edit"])
        if uri != app.buffer.uri:
            text = "".join(each["newText"] for each in edits)
            await app.panel.show(uri, f"```{app.buffer.language}\n{text.strip()}\n```")
            return {"applied": False, "failureReason": "this editor has only one file, so the text is shown below it"}
        if version != app.client.version:
            return {"applied": False, "failureReason": "the text has changed meanwhile"}
        apply(edits, app.editor)
        return {"applied": True}
