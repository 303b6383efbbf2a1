"""How the server is reached, and how its process ends.

pygls reads stdin in its pool of worker threads, doesn't answer a message that it can't read, and waits for all threads
at the end. So reading and ending are done here. `exit`, a closed stdin and a lost connection end the process at once,
whatever other threads are doing: the model may be loading or generating.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from ipaddress import ip_address
from threading import Thread
from typing import Any, NoReturn

from starfill.errors import SettingsError
from starfill.lsp.framing import Framing
from starfill.lsp.language_server import Server
from starfill.lsp.models.backend import Backend
from starfill.lsp.server import create_server

_CHUNK = 2**16  # bytes
NOTHING: Mapping[str, Any] = {}


def serve_stdio(backend: Backend, fixed: Mapping[str, Any] = NOTHING) -> NoReturn:
    """Serve one client over stdin and stdout, then end the process. Everything that is printed goes to stderr.

    fixed: settings that the client doesn't change, by their JSON names.
    """
    _log_to_stderr()
    protocol_out = os.dup(1)
    os.dup2(2, 1)  # also what is printed below Python
    sys.stdout = sys.stderr

    async def main() -> int:
        server = create_server(backend, fixed)
        server.protocol.set_writer(_Stdout(protocol_out, server))
        return await _serve(server, _read_in_thread(0))

    _run(main)


def serve_tcp(backend: Backend, host: str, port: int, fixed: Mapping[str, Any] = NOTHING) -> NoReturn:
    """Serve one client over TCP on the loopback interface, then end the process. Other clients are refused meanwhile.

    fixed: as above. Raises SettingsError if `host` isn't a loopback address or the port can't be used.
    """
    _check_loopback(host)
    _log_to_stderr()

    async def main() -> int:
        finished: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        taken = False

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal taken
            first = b""
            with contextlib.suppress(OSError):
                first = b"" if taken else await reader.read(_CHUNK)  # a client that sends nothing only checks the port
            if not first or taken:
                writer.close()
                return
            taken = True
            server = create_server(backend, fixed)
            server.protocol.set_writer(writer)
            code = await _serve(server, _read_stream(reader, first))
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.3)
            finished.set_result(code)

        try:
            listening = await asyncio.start_server(connected, host, port)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"--tcp {host}:{port} can't be used: {error}; choose another port.") from error
        print("Listening on {}:{}".format(*listening.sockets[0].getsockname()), file=sys.stderr, flush=True)
        return await finished

    _run(main)


def _check_loopback(host: str) -> None:
    with contextlib.suppress(ValueError):
        if host == "localhost" or ip_address(host).is_loopback:
            return
    raise SettingsError(f"--tcp {host}: only this machine may connect; use 127.0.0.1, localhost or ::1.")


async def _serve(server: Server, chunks: AsyncIterator[bytes]) -> int:
    """Serve until `exit` or the end of the input. Returns the exit code."""
    pump = asyncio.ensure_future(_pump(server, chunks))
    ends: list[asyncio.Future[Any]] = [pump, server.exit_code]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    pump.cancel()
    server.session.end()
    return server.exit_code.result() if server.exit_code.done() else server.protocol.exit_code


async def _pump(server: Server, chunks: AsyncIterator[bytes]) -> None:
    framing = Framing()
    async for data in chunks:
        for body in framing.feed(data):
            server.protocol.receive(body)
            await asyncio.sleep(0)  # an async handler takes its snapshot before the next message is applied


async def _read_stream(reader: asyncio.StreamReader, data: bytes) -> AsyncIterator[bytes]:
    """`data`, and then what the stream brings."""
    with contextlib.suppress(OSError):
        while data:
            yield data
            data = await reader.read(_CHUNK)


async def _read_in_thread(fd: int) -> AsyncIterator[bytes]:
    """Read in a thread of its own, so that the client can always write, whatever the server is doing."""
    loop = asyncio.get_running_loop()
    inbox: asyncio.Queue[bytes] = asyncio.Queue()

    def run() -> None:
        data = b"?"
        while data:
            try:
                data = os.read(fd, _CHUNK)
            except OSError:
                data = b""
            loop.call_soon_threadsafe(inbox.put_nowait, data)

    Thread(target=run, name="starfill-stdin", daemon=True).start()
    while data := await inbox.get():
        yield data


class _Stdout:
    """pygls' interface of a writer. The server ends if the client no longer reads."""

    def __init__(self, fd: int, server: Server) -> None:
        self._file = os.fdopen(fd, "wb", buffering=0)
        self._server = server

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self._server.leave(1)

    def close(self) -> None:
        self._file.close()


def _log_to_stderr() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


def _run(main: Callable[[], Awaitable[int]]) -> NoReturn:
    """Run to the end, and exit without waiting for threads. Errors that are meant for users go to the caller."""

    async def to_the_end() -> None:
        _leave(await main())

    try:
        asyncio.run(to_the_end())
    except KeyboardInterrupt:
        _leave(130)
    raise AssertionError("the process should have ended")


def _leave(code: int) -> NoReturn:
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
