"""What a keystroke costs besides the model: all of the real server, around one that answers at once."""

from __future__ import annotations

import inspect
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsp.client import Client
from lsp.params import replace
from lsp.warm import WarmPython

COMMAND = [sys.executable, str(Path(__file__).parent / "servers/instant_server.py")]
SOURCE = Path(inspect.__file__).read_text(encoding="utf-8").split("\n")
TYPED = "    result = self.name(value, not None)  # a comment"


@pytest.fixture(scope="module")
def client(warm_with_torch: WarmPython) -> Iterator[Client]:
    with Client.start(COMMAND, popen=warm_with_torch.popen) as client:
        client.wait_for_state("ready", 60)
        yield client


def opened(client: Client, lines: int) -> tuple[str, int]:
    """A file of so many lines, with nothing on the one in its middle: its URI and that line."""
    uri = f"file:///project/{lines}.py"
    text = (SOURCE * (lines // len(SOURCE) + 1))[:lines]
    at = lines // 2
    client.open(uri, "\n".join(text))
    client.change(uri, replace((at, 0), (at, len(text[at])), ""))
    client.inline(uri, at, 0)
    return uri, at


def test_a_keystroke_does_not_depend_on_the_length_of_the_file(client: Client) -> None:
    """From sending a change to having the suggestion; by turns, so that what else the machine does slows down each."""
    files = [opened(client, lines) for lines in (400, 10_000, 80_000)]
    seconds: dict[str, list[float]] = {uri: [] for uri, _ in files}
    for column, char in enumerate(TYPED):
        for uri, at in files:
            began = time.perf_counter()
            client.change(uri, replace((at, column), (at, column), char))
            items = client.inline(uri, at, column + 1)
            seconds[uri].append(time.perf_counter() - began)
            assert items or column + 1 < len(TYPED)
    for uri, _ in files:
        assert client.last(uri)["source"] == "model"
        client.close(uri)
    short, long, longest = map(statistics.median, seconds.values())
    assert max(long, longest) < 3 * short


def test_what_follows_an_accepted_suggestion_is_there(client: Client) -> None:
    uri = "file:///accepted.py"
    client.open(uri, "x =")
    (item,) = client.inline(uri, 0, 3)
    client.wait_for_log(f"computed ahead: {uri}")  # while the user looks at it
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
