"""A language client for tests and benchmarks: plain JSON-RPC over a process's pipes or a socket, and nothing hidden.

    with Client.start([sys.executable, "-m", "starfill", "serve", "--stdio"], options={"device": "cpu"}) as client:
        client.open("file:///a.py", "def f(")
        items = client.request("textDocument/inlineCompletion", {...})["items"]

Waiting ends with an AssertionError that holds the server's log.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from lsp.connection import PATIENCE, Connection, Popen
from lsp.params import INLINE


class Client(Connection):
    """A session of an editor with the server."""

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        capabilities: dict[str, Any] | None = None,
        options: Any = None,
        *,
        answers: dict[str, Callable[[Any], Any]] | None = None,
        initialize: bool = True,
        popen: Popen = subprocess.Popen,
        **more: Any,
    ) -> Client:
        """Start a server process and, unless told otherwise, initialize it.

        popen: starts the process, with the arguments of subprocess.Popen.
        """
        started = time.perf_counter()
        pipe = subprocess.PIPE
        process = popen(command, stdin=pipe, stdout=pipe, stderr=pipe, **more)

        def end() -> None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(1)  # it ends by itself then, and leaves nothing behind
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        client = cls(process.stdout, process.stdin, end, process)
        client.answers.update(answers or {})
        if initialize:
            client.initialize(capabilities, options)
            client.initialize_seconds = time.perf_counter() - started
        return client

    @classmethod
    def connect(cls, host: str, port: int) -> Client:
        connection = socket.create_connection((host, port), PATIENCE)
        connection.settimeout(None)

        def end() -> None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

        return cls(connection.makefile("rb"), connection.makefile("wb", buffering=0), end)  # type: ignore[arg-type]

    def initialize(self, capabilities: dict[str, Any] | None = None, options: Any = None) -> None:
        params = {"processId": None, "rootUri": None, "capabilities": INLINE if capabilities is None else capabilities}
        if options is not None:
            params["initializationOptions"] = options
        self.initialize_result = self.request("initialize", params)
        self.notify("initialized", {})

    # Waiting

    def wait_for_state(self, state: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The latest `starfill/status`, once it is `state`."""

        def latest() -> dict[str, Any]:
            return (self.all("starfill/status") or [{}])[-1]

        self.wait(lambda: latest().get("state") == state, f"the state {state}", seconds)
        return latest()

    def wait_for_log(self, text: str, seconds: float = PATIENCE) -> None:
        self.wait(lambda: text in self.log, f"{text!r} in the log", seconds)

    def exit_code(self, seconds: float = PATIENCE) -> int:
        """Waits for the process to end."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The server did not end within {seconds} s.\n{self.log}") from None

    # Documents

    def open(self, uri: str, text: str, language: str = "python") -> None:
        self.versions[uri] = 1
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(self, uri: str, *changes: dict[str, Any]) -> None:
        """Content changes as in the protocol; see `replace`."""
        self.versions[uri] += 1
        item = {"uri": uri, "version": self.versions[uri]}
        self.notify("textDocument/didChange", {"textDocument": item, "contentChanges": list(changes)})

    def close(self, uri: str) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def ask_inline(self, uri: str, line: int, character: int, selected: Any = None, trigger: int = 2) -> int:
        context = {"triggerKind": trigger} | ({"selectedCompletionInfo": selected} if selected else {})
        place = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
        return self.ask("textDocument/inlineCompletion", place | {"context": context})

    def inline(self, uri: str, line: int, character: int, selected: Any = None, trigger: int = 2) -> Any:
        """The items of an inline completion."""
        return self.answer(self.ask_inline(uri, line, character, selected, trigger))["items"]

    def last(self, uri: str) -> dict[str, Any]:
        figures: dict[str, Any] = self.request("starfill/lastCompletion", {"uri": uri})
        return figures

    # The end

    def shutdown(self) -> int:
        """The polite end; answers the exit code."""
        self.request("shutdown")
        self.notify("exit")
        return self.exit_code()
