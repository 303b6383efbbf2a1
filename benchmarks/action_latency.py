"""What code actions cost those who type: through the real server process over stdio.

    python benchmarks/action_latency.py [--model FOLDER] [--keys 60]

The same characters are typed in two copies of a file; in the second one while an action decodes. Prints a table and,
last, one line of JSON.
"""

from __future__ import annotations

import inspect
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from latency.summary import quantile

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # the language client that the tests use
from lsp.asking import ask_actions, from_server, instruct
from lsp.client import Client
from lsp.params import position, replace
from lsp.profiles import ANSWERS, FULL
from peers.starfill_server import PATIENCE, ready

SOURCE = Path(inspect.__file__).read_text(encoding="utf-8").splitlines()  # a real file that every Python has
ALONE, DURING, ASKED, LONG = "file:///alone.py", "file:///during.py", "file:///asked.py", "file:///long.py"
TEXT = SOURCE[400:700]
LISTINGS = 50
CREATE = "window/workDoneProgress/create"


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


class Action:
    """A long answer that is being decoded while this is entered. stopped_ms: from the user's cancel to its end."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.stopped_ms = 0.0

    def __enter__(self) -> Action:
        before = len(from_server(self._client, CREATE, 0))
        where = {"start": position(0, 0), "end": position(30, 0)}
        instruct(self._client, {"uri": ASKED, "range": where, "action": "tests"})
        self._token = from_server(self._client, CREATE, before + 1)[-1]["token"]
        self._client.wait_for("$/progress", self._counts, PATIENCE)
        return self

    def _counts(self, params: Any) -> bool:
        return params["token"] == self._token and "tokens" in (params["value"].get("message") or "")

    def __exit__(self, *exception: object) -> None:
        began = time.perf_counter()
        self._client.notify("window/workDoneProgress/cancel", {"token": self._token})
        self._client.wait_for(
            "$/progress", lambda params: params["token"] == self._token and params["value"]["kind"] == "end", PATIENCE
        )
        self.stopped_ms = (time.perf_counter() - began) * 1e3
        self._client.wait_for_state("ready", PATIENCE)


def keystrokes(client: Client, keys: int) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of the completions that asked the model: alone, during an action; and of cancelling the action."""
    alone: list[float] = []
    during: list[float] = []
    stopped: list[float] = []
    for number in range(40, len(TEXT), 7):
        line = TEXT[number]
        start = len(line) - len(line.lstrip())
        if len(line) - start < 12:
            continue
        for uri in (ALONE, DURING):
            client.change(uri, replace((number, start + 3), (number, len(line)), ""))
            client.inline(uri, number, start + 3)  # the jump here isn't measured
        for at in range(start + 3, len(line)):
            for uri in (ALONE, DURING):
                client.change(uri, replace((number, at), (number, at), line[at]))
            ms = timed(lambda at=at, number=number: client.inline(ALONE, number, at + 1))  # type: ignore[misc]
            if client.last(ALONE)["source"] != "model":
                client.inline(DURING, number, at + 1)
                continue
            with Action(client) as action:
                during.append(timed(lambda at=at, number=number: client.inline(DURING, number, at + 1)))  # type: ignore[misc]
            if client.last(DURING)["source"] != "model":  # another path, so another prompt
                during.pop()
                continue
            alone.append(ms)
            stopped.append(action.stopped_ms)
            if len(alone) == keys:
                return alone, during, stopped
    return alone, during, stopped


@click.command()
@click.option("--model", default="bundled", show_default=True)
@click.option("--keys", default=60, show_default=True, help="Keystrokes that ask the model, of each kind.")
def main(model: str, keys: int) -> None:
    """Type while an action decodes, and without; list actions in a long file."""
    command = [sys.executable, "-m", "starfill", "serve", "--stdio"]
    with Client.start(command, FULL, {"model": model}, answers=ANSWERS) as client:
        ready(client)
        for uri in (ALONE, DURING, ASKED):
            client.open(uri, "\n".join(TEXT))
        client.open(LONG, "\n".join((SOURCE * 4)[:10_000]))
        ask_actions(client, LONG, (0, 0), (0, 0))  # the opening isn't measured
        listings = [
            timed(lambda n=n: ask_actions(client, LONG, (100 * n, 0), (100 * n + 20 * (n % 2), 0)))  # type: ignore[misc]
            for n in range(LISTINGS)
        ]
        alone, during, stopped = keystrokes(client, keys)
        client.shutdown()
    rows = {
        "list actions, 10,000 lines": listings,
        "completion": alone,
        "completion during an action": during,
        "cancel an action": stopped,
    }
    table = Table(title=f"{model}: code actions")
    for column in ("", "count", "p50 ms", "p95 ms"):
        table.add_column(column, justify="right" if column else "left")
    summary: dict[str, Any] = {"model": model}
    for name, ms in rows.items():
        row = {"count": len(ms), "p50_ms": round(statistics.median(ms), 1), "p95_ms": round(quantile(ms, 0.95), 1)}
        summary[name] = row
        table.add_row(name, *map(str, row.values()))
    summary["ratio"] = round(statistics.median(during) / statistics.median(alone), 2)
    Console().print(table)
    Console().print(f"a completion during an action takes {summary['ratio']} times as long")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
