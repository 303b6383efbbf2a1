"""A Python that has done its imports, and forks for each command: a process like any other, at a hundredth of the cost.

    with WarmPython("starfill.lsp.server") as python:
        process = warm.popen([sys.executable, "-m", "starfill", "--stdio"])

What a process costs at its start, and what it imports when, is for tests with `subprocess`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO


class WarmProcess:
    """As much of subprocess.Popen as tests use; all three streams are pipes."""

    def __init__(
        self, args: Sequence[str], streams: tuple[BinaryIO, BinaryIO, BinaryIO], watcher: socket.socket
    ) -> None:
        self.args = args
        self.stdin, self.stdout, self.stderr = streams
        self.returncode: int | None = None
        self._watcher, self._told = watcher, b""
        self.pid = self._number(None)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = self._number(timeout)
            self._watcher.close()
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _number(self, timeout: float | None) -> int:
        """The next one that the watcher tells: the process's id, then its exit code."""
        self._watcher.settimeout(timeout)
        while b"\n" not in self._told:
            try:
                data = self._watcher.recv(64)
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            if not data:
                raise ChildProcessError("The process and its watcher are gone.")
            self._told += data
        number, _, self._told = self._told.partition(b"\n")
        return int(number)


class WarmPython:
    """modules: what it has imported before it forks. None of them may start a thread."""

    def __init__(self, *modules: str) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def popen(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, **_: Any
    ) -> WarmProcess:
        """[sys.executable, FILE or -m MODULE or -c CODE, argument, ...], with pipes."""
        assert command[0] == sys.executable
        (stdin, our_stdin), (our_stdout, stdout), (our_stderr, stderr) = (os.pipe() for _ in range(3))
        ours, watcher = socket.socketpair()
        request = {
            "command": command[1:],
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd or Path.cwd()),
        }
        theirs = [stdin, stdout, stderr, watcher.detach()]
        socket.send_fds(self._control, [json.dumps(request).encode() + b"\n"], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        streams = (os.fdopen(our_stdin, "wb"), os.fdopen(our_stdout, "rb"), os.fdopen(our_stderr, "rb"))
        return WarmProcess(command, streams, ours)

    def close(self) -> None:
        self._control.close()
        self._process.wait()

    def __enter__(self) -> WarmPython:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


# In the warm Python


def serve(control: socket.socket) -> None:
    """Returns in each child, once that is the process that was asked for; and where nobody asks any more."""
    gc.freeze()  # what the children share stays shared
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 2**16, 4)
        with contextlib.suppress(ChildProcessError):  # so that the CPU time of what has ended is counted
            while os.waitpid(-1, os.WNOHANG if data else 0)[0]:
                pass
        if not data:
            sys.exit()
        while not data.endswith(b"\n"):
            data += control.recv(2**16)
        if os.fork() == 0:
            control.close()
            *streams, watcher = descriptors
            if child := os.fork():
                watch(child, streams, watcher)
            os.close(watcher)
            become(json.loads(data), streams)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def watch(child: int, streams: Sequence[int], watcher: int) -> None:
    """Tell the child's id and exit code, and end."""
    for descriptor in streams:
        os.close(descriptor)
    with contextlib.suppress(BrokenPipeError):
        os.write(watcher, b"%d\n" % child)
        os.write(watcher, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os._exit(0)


def become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Take over what a process has of its own."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = request["command"]


def run() -> None:
    """What sys.argv says."""
    first = sys.argv[0]
    if first == "-c":
        code = sys.argv.pop(1)
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(first).parent))
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    del sys.path[0]  # this file's folder
    with socket.socket(fileno=int(sys.argv[1])) as control:
        for name in sys.argv[2:]:
            importlib.import_module(name)
        serve(control)
    run()
