"""A serving engine as a process: started, waited for, killed, held up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE = 300.0  # seconds for an engine to start on a busy machine
STARTING = 502, 503


class Running:
    """An engine that was started; `kill` and then `start` keeps its port.

    command(port). ready: a path that answers once it can be asked. log: of what it writes.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], ready: str, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._command, self._ready, self._log = command(self.port), ready, log
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:]

    def start(self) -> None:
        quiet = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(self._log.parent), "TOKENIZERS_PARALLELISM": "false"}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=os.environ | quiet, start_new_session=True
            )

    def wait(self) -> None:
        """Until it can be asked; RuntimeError with what it said when it can't."""
        until = time.monotonic() + PATIENCE
        while not self._answers():
            if (code := self.process.poll()) is not None or time.monotonic() > until:
                what = "isn't ready" if code is None else f"has ended with {code}"
                raise RuntimeError(f"{self._command[0]} {what}:\n{self.said}")
            time.sleep(0.05)

    def get(self, path: str) -> Any:
        """The JSON there. OSError for none."""
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return json.load(response)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.wait()

    def hold(self) -> None:
        """It keeps its connections and does nothing, until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        """To it and the processes that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, which)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.url + self._ready, timeout=10).close()
        except urllib.error.HTTPError as error:
            return error.code not in STARTING
        except OSError:
            return False
        return True
