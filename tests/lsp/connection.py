"""JSON-RPC with a language server, for tests: strict about the framing, and with a limit on every wait."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, TypeVar

from lsp.params import silence

PATIENCE = 20  # seconds; generous, since other work may occupy the machine


"""Capabilities of an editor with inline completion, without workspace/configuration."""


class Process(Protocol):
    """As much of subprocess.Popen as is used here, with all three streams."""

    pid: int
    stdin: Any
    stdout: Any
    stderr: Any

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...


Popen = Callable[..., Process]


class ResponseError(Exception):
    """An error answer."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]


C = TypeVar("C", bound="Connection")


class Connection:
    """The client's end. `answers` has what to answer to the server's requests: a function of the params, by method.

    Such a function may raise ResponseError.
    """

    def __init__(
        self,
        reader: BinaryIO,
        writer: BinaryIO,
        hang_up: Callable[[], None],
        process: Process | None = None,
    ) -> None:
        self._reader, self._writer, self._hang_up, self.process = reader, writer, hang_up, process
        self._changed = threading.Condition()
        self._ids = 0
        self._responses: dict[int | str | None, dict[str, Any]] = {}
        self._closed = False
        self._log: list[str] = []
        self.notifications: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []  # from the server
        self.answers: dict[str, Callable[[Any], Any]] = defaultdict(lambda: lambda params: None)
        self.versions: dict[str, int] = {}
        self.initialize_result: dict[str, Any] = {}
        self.initialize_seconds = 0.0  # from the start of the process to the answer
        self._threads = [threading.Thread(target=self._read, daemon=True)]
        if process is not None:
            self._threads.append(threading.Thread(target=self._read_log, args=(process.stderr,), daemon=True))
        for thread in self._threads:
            thread.start()

    # Sending

    def send(self, message: dict[str, Any]) -> None:
        self.send_body(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_body(self, body: bytes) -> None:
        self.send_bytes(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)
        self._writer.flush()

    def notify(self, method: str, params: Any = None) -> None:
        self.send({"method": method, "params": params})

    def ask(self, method: str, params: Any = None) -> int:
        """Send a request without waiting for its answer; answers its id for `answer`."""
        self._ids += 1
        self.send({"id": self._ids, "method": method, "params": params})
        return self._ids

    def request(self, method: str, params: Any = None, seconds: float = PATIENCE) -> Any:
        return self.answer(self.ask(method, params), seconds)

    # Receiving

    def answer(self, identifier: int | str | None, seconds: float = PATIENCE) -> Any:
        """The result of a request; ResponseError for an error."""
        self.wait(lambda: identifier in self._responses, f"an answer to request {identifier}", seconds)
        response = self._responses.pop(identifier)
        if "error" in response:
            raise ResponseError(response["error"])
        return response["result"]

    def wait_for(
        self, method: str, accept: Callable[[Any], bool] = lambda params: True, seconds: float = PATIENCE
    ) -> Any:
        """The params of the first notification (also an earlier one) of a method that is acceptable."""

        def found() -> list[Any]:
            return [params for params in self.all(method) if accept(params)]

        self.wait(found, f"a notification {method}", seconds)
        return found()[0]

    def all(self, method: str) -> list[Any]:
        """The params of all notifications of a method so far."""
        return [each["params"] for each in list(self.notifications) if each["method"] == method]

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
        """Until a condition on what has come from the server holds; asked again whenever something comes."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition() or self._closed, seconds):
                raise AssertionError(f"Waited {seconds} s in vain for {what}.\n{self.log}")
            if not condition():
                raise AssertionError(f"The server was gone before {what}.\n{self.log}")

    @property
    def log(self) -> str:
        return "The server's log:\n" + "".join(self._log)

    def kill(self) -> None:
        self._hang_up()  # so that the threads come to their end, before what they read is closed
        for thread in self._threads:
            thread.join(PATIENCE)
        for file in (self._writer, self._reader, self.process.stderr if self.process else None):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()

    def __enter__(self: C) -> C:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    # Threads

    def _read(self) -> None:
        while (message := self._next_message()) is not None:
            with self._changed:
                if "method" not in message:
                    self._responses[message["id"]] = message
                elif "id" in message:
                    self.requests.append(message)
                    if (answer := self.answers[message["method"]]) is not silence:
                        try:
                            response = {"result": answer(message.get("params"))}
                        except ResponseError as refusal:
                            response = {"error": {"code": refusal.code, "message": refusal.message}}
                        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
                            self.send({"id": message["id"], **response})
                else:
                    self.notifications.append(message)
                self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next_message(self) -> dict[str, Any] | None:
        """Strict about the framing: anything else on stdout is a failure of the server."""
        length = 0
        while True:
            try:
                line = self._reader.readline()
            except (OSError, ValueError):
                return None
            if not line:
                return None
            if line == b"\r\n":
                break
            name, _, value = line.decode("ascii").partition(": ")
            assert name in ("Content-Length", "Content-Type"), f"Not a header: {line!r}"
            if name == "Content-Length":
                length = int(value)
        body = self._reader.read(length)
        message: dict[str, Any] | None = json.loads(body) if len(body) == length else None
        return message

    def _read_log(self, stderr: BinaryIO) -> None:
        for line in stderr:
            with self._changed:
                self._log.append(line.decode("utf-8", "replace"))
                self._changed.notify_all()
