"""What a keystroke costs besides the model: all of the real server, around one that answers at once."""

from __future__ import annotations

import inspect
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsp.client import Client, replace
from lsp.warm import WarmPython

COMMAND = [sys.executable, str(Path(__file__).parent / "instant_server.py")]
SOURCE = Path(inspect.__file__).read_text(encoding="utf-8").split("\n")
TYPED = "    result = self.name(value, not None)  # a comment"
ENOUGH = 0.1  # seconds; some fifty times what it takes on a machine with nothing else to do


@pytest.fixture(scope="module")
def client(warm_with_torch: WarmPython) -> Iterator[Client]:
    with Client.start(COMMAND, popen=warm_with_torch.popen) as client:
        client.wait_for_state("ready", 60)
        yield client


def median_keystroke(client: Client, lines: int) -> float:
    """Seconds from sending a change to having the suggestion, in the middle of a file of so many lines."""
    uri = f"file:///project/{lines}.py"
    text = (SOURCE * (lines // len(SOURCE) + 1))[:lines]
    at = lines // 2
    client.open(uri, "\n".join(text))
    client.change(uri, replace((at, 0), (at, len(text[at])), ""))
    client.inline(uri, at, 0)
    seconds = []
    for column, char in enumerate(TYPED):
        began = time.perf_counter()
        client.change(uri, replace((at, column), (at, column), char))
        items = client.inline(uri, at, column + 1)
        seconds.append(time.perf_counter() - began)
    assert items and client.last(uri)["source"] == "model"
    client.close(uri)
    return statistics.median(seconds)


def test_a_keystroke_does_not_depend_on_the_length_of_the_file(client: Client) -> None:
    short, long, longest = (median_keystroke(client, lines) for lines in (400, 10_000, 80_000))
    assert max(long, longest) < min(ENOUGH, 3 * short)


def test_what_follows_an_accepted_suggestion_is_there(client: Client) -> None:
    uri = "file:///accepted.py"
    client.open(uri, "x =")
    (item,) = client.inline(uri, 0, 3)
    time.sleep(0.3)  # while the user looks at it
    text = item["insertText"]
    client.change(uri, replace((0, 3), (0, 3), text))
    client.request("workspace/executeCommand", item["command"])
    client.inline(uri, 0, 3 + len(text))
    assert client.last(uri)["source"] == "prepared"


def test_busy_is_not_told_for_a_moment(client: Client) -> None:
    uri = "file:///moment.py"
    client.open(uri, "x =")
    before = len(client.all("starfill/status"))
    for _ in range(20):
        client.inline(uri, 0, 3)
    assert len(client.all("starfill/status")) - before < 20
