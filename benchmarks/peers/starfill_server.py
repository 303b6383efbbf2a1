"""Starfill: the real process over stdio, as an editor runs it.

A language server answers once, with the whole suggestion. So the time to the first token is the time to the answer less
what the server says that decoding took after the first token: an upper bound, in which all transport is counted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starfill.engine.loading.inspect import inspect

sys.path.append(str(Path(__file__).parents[2] / "tests"))  # the language client that the tests use
from lsp.client import Client
from lsp.params import replace
from peers.peer import Answer, Ask
from traces.typist import Change, Place

PATIENCE = 900  # seconds; a first prefill of a large model takes a while on a CPU


def ready(client: Client) -> None:
    """Waits until the model can be asked; SystemExit with the server's sentence when it can't be loaded."""
    done = client.wait_for("starfill/status", lambda status: status["state"] in ("ready", "error"), PATIENCE)
    if done["state"] == "error":
        client.kill()
        raise SystemExit(f"The server can't load the model: {done['message']}")


class StarfillServer:
    name = "starfill"

    def __init__(self, model: str, folder: Path, settings: dict[str, Any]) -> None:
        """folder: of the model, to look up what it holds. settings: as an editor would send them."""
        facts = {fact.key: fact.value for fact in inspect(folder, device_name="cpu")}
        self.weight_bytes = int(facts["heldBytes"])  # type: ignore[call-overload]
        self.kv_bytes = int(facts["kvBytesPerToken"])  # type: ignore[call-overload]
        command = [sys.executable, "-m", "starfill", "serve", "--stdio"]
        self._client = Client.start(command, options={"model": model, "multiLine": "never", **settings})
        self._uris: list[str] = []
        self._accepted: dict[str, Any] | None = None  # what to tell when the latest suggestion is accepted
        ready(self._client)

    @property
    def pid(self) -> int:
        assert self._client.process is not None
        return self._client.process.pid

    def open(self, uris: Sequence[str], texts: Sequence[str]) -> None:
        for uri in self._uris:
            self._client.close(uri)
        self._uris = list(uris)
        for uri, text in zip(self._uris, texts, strict=True):
            self._client.open(uri, text)

    def edit(self, document: int, change: Change) -> None:
        self._client.change(self._uris[document], replace(*change))

    def complete(self, ask: Ask) -> Answer:
        uri, client = self._uris[ask.document], self._client
        began = time.perf_counter()
        if ask.change is not None:
            client.change(uri, replace(*ask.change))
        told = client.ask("workspace/executeCommand", self._accepted) if ask.accepted and self._accepted else None
        items = client.answer(client.ask_inline(uri, *ask.cursor), PATIENCE)["items"]
        ms = (time.perf_counter() - began) * 1e3
        if told is not None:
            client.answer(told)
        figures = client.last(uri)
        command = items[0].get("command") if items else None
        self._accepted = command and {"command": command["command"], "arguments": command["arguments"]}
        return Answer(
            first_ms=ms - figures["decodeMs"],
            whole_ms=ms,
            prompt=figures["promptTokens"],
            computed=figures["computedTokens"],
            generated=figures["generatedTokens"],
            steps=figures.get("steps", max(figures["generatedTokens"] - 1, 0)),
            prefill_ms=figures["prefillMs"],
            source=figures["source"],
            suggestion=_change(items[0]) if items else None,
        )

    def close(self) -> None:
        with self._client as client:
            client.shutdown()


def _change(item: dict[str, Any]) -> Change:
    start, end = (Place(**item["range"][edge]) for edge in ("start", "end"))
    return Change(start, end, item["insertText"])
