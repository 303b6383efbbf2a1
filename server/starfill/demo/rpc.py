"""JSON-RPC with a language server in a child process, over its stdin and stdout.

pygls' client isn't used: it never reads what the server prints to stderr, and leaves requests waiting after the server
has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from tempfile import TemporaryFile
from typing import IO, Any

from starfill.lsp.framing import Framing

_CHUNK = 2**16  # bytes
_PATIENCE = 1  # seconds for the server to end by itself
_METHOD_NOT_FOUND = -32601
_LOG_TAIL = 4000  # bytes

NotificationHandler = Callable[[Any], object]
"""What is done with the params of a notification."""
RequestHandler = Callable[[Any], Awaitable[Any]]
"""The result of a request of the server's, from its params."""


class ServerError(Exception):
    """An error answer, or a server that has ended."""


class ServerConnection:
    """Used on the event loop, and never blocks it: what is sent is buffered, answers are awaited.

    heard, answers: by method. gone: called with a sentence if the process ends unexpectedly.
    """

    def __init__(
        self,
        on_notification: Mapping[str, NotificationHandler],
        answers: Mapping[str, RequestHandler],
        gone: Callable[[str], object],
    ) -> None:
        self._on_notification, self._answers, self._gone = on_notification, answers, gone
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ended = ""  # the sentence, once the process has ended
        self._log: IO[bytes] = TemporaryFile()  # noqa: SIM115 - what the server prints must not reach the screen

    async def start(self, command: Sequence[str]) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=self._log)
        self._reading = asyncio.create_task(self._read(self._process))

    async def request(self, method: str, params: Any = None) -> Any:
        """The result. Raises ServerError for an error. Cancelling this cancels the request."""
        if self._ended:
            raise ServerError(self._ended)
        identifier = next(self._ids)
        answer = self._waiting[identifier] = asyncio.get_running_loop().create_future()
        self._send({"id": identifier, "method": method, "params": params})
        try:
            return await answer
        except asyncio.CancelledError:
            self.notify("$/cancelRequest", {"id": identifier})
            raise
        finally:
            del self._waiting[identifier]

    def notify(self, method: str, params: Any = None) -> None:
        self._send({"method": method, "params": params})

    async def stop(self) -> None:
        """End the server, politely at first."""
        if self._process is not None:
            with contextlib.suppress(ServerError, asyncio.TimeoutError):
                await asyncio.wait_for(self._leave(self._process), _PATIENCE)
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        self._log.close()

    async def _leave(self, process: asyncio.subprocess.Process) -> None:
        self._gone = lambda sentence: None
        await self.request("shutdown")
        self.notify("exit")
        await process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        """A message to a server that has ended is lost; its end was reported."""
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            body = json.dumps({"jsonrpc": "2.0", **message}).encode()
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        framing = Framing()
        while data := await process.stdout.read(_CHUNK):
            for body in framing.feed(data):
                if body is not None:
                    self._receive(json.loads(body))
        await process.wait()
        words = self._last_words()
        self._ended = f"the server has ended with code {process.returncode}" + (f", saying: {words}" if words else "")
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ServerError(self._ended))
        self._gone(self._ended)

    def _receive(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            answer = self._waiting.get(message["id"])
            if answer is None or answer.done():
                return  # cancelled meanwhile
            if "error" in message:
                answer.set_exception(ServerError(message["error"]["message"]))
            else:
                answer.set_result(message["result"])
        elif "id" in message:
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif on_notification := self._on_notification.get(message["method"]):
            on_notification(message.get("params"))

    async def _answer(self, message: dict[str, Any]) -> None:
        method, identifier = message["method"], message["id"]
        if answer := self._answers.get(method):
            self._send({"id": identifier, "result": await answer(message.get("params"))})
        else:
            error = {"code": _METHOD_NOT_FOUND, "message": f"{method} is unknown here"}
            self._send({"id": identifier, "error": error})

    def _last_words(self) -> str:
        """The last line of the server's log."""
        self._log.seek(max(self._log.seek(0, 2) - _LOG_TAIL, 0))
        return next(iter(reversed(self._log.read().decode("utf-8", "replace").split("\n")[:-1])), "").strip()
