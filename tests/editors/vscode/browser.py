"""Chromium, driven by playwright in a process of node (browser.mjs)."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from editors.found import FOLDER, needed
from editors.screen import PATIENCE

SIZE = (900, 560)


class Browser:
    """Pages by name. A call is a method of playwright's page: `browser.call("main", "keyboard.press", "Tab")`."""

    def __init__(self, profile: Path, log: Path, env: dict[str, str]) -> None:
        script = Path(__file__).with_name("browser.mjs")
        arguments = [FOLDER / "playwright", needed("chromium"), profile, *SIZE, 1000 * PATIENCE]
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [needed("node"), script, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=env,
                encoding="utf-8",
                start_new_session=True,
            )
        self.windows: list[Any] = []
        self._ids = itertools.count()
        self._answers: dict[int, Future[Any]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begin(self, page: str, call: str, *arguments: Any) -> Future[Any]:
        """Started; the caller goes on."""
        message = {"id": next(self._ids), "page": page, "call": call, "args": arguments}
        future = self._answers[message["id"]] = Future()
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return future

    def call(self, page: str, call: str, *arguments: Any) -> Any:
        return self.begin(page, call, *arguments).result(2 * PATIENCE)

    def stop(self) -> None:
        with self.process:
            self.process.stdin.close()  # then it closes Chromium, which is in no process group of ours
            self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            message = json.loads(line)
            future = self._answers.pop(message["id"])
            if "error" in message:
                future.set_exception(AssertionError(message["error"]))
            else:
                future.set_result(message["value"])
        for future in list(self._answers.values()):
            future.set_exception(AssertionError("the browser has ended"))
