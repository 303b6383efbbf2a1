"""A model that an editor names and that has to be downloaded: the real server, a hub on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from hub.conftest import Files
from hub.server import FakeHub
from lsp.client import Client

COMMAND = [sys.executable, "-m", "starfill", "--stdio"]
NAME = "owner/coder-GPTQ"
URI = "file:///code.py"
TITLE = f"Starfill: downloading {NAME}"
ASK = "window/showMessageRequest"
PATIENCE = 60  # seconds


def yes(params: Any) -> Any:
    return params["actions"][0]


def progress(client: Client) -> tuple[str, list[Any]]:
    """The latest download's token and what was told of it so far."""
    client.wait_for("$/progress", lambda params: params["value"].get("title") == TITLE, PATIENCE)
    begun = [params["token"] for params in client.all("$/progress") if params["value"].get("title") == TITLE]
    return begun[-1], [params["value"] for params in client.all("$/progress") if params["token"] == begun[-1]]


def test_an_accepted_offer_ends_with_a_model(
    hub: FakeHub, environment: dict[str, str], checkpoint: Files, tmp_path: Path
) -> None:
    hub.add(NAME, checkpoint)
    asked_before: list[int] = []

    def answer(params: Any) -> Any:
        asked_before.append(len(hub.requests))
        return yes(params)

    with Client.start(COMMAND, options={"model": NAME}, answers={ASK: answer}, env=environment) as client:
        assert client.wait_for_state("ready", PATIENCE)["model"] == NAME
        assert asked_before == [0, 1]  # nothing before the first yes, only the list of files before the second
        size = f"{sum(map(len, checkpoint.values())) / 1e6:.1f} MB"
        titles = [[each["title"] for each in r["params"]["actions"]] for r in client.requests if r["method"] == ASK]
        assert titles == [["Ask the hub", "Not now"], [f"Download ({size})", "Not now"]]
        _, values = progress(client)
        assert any(f" of {size}, gptq_model" in value.get("message", "") for value in values)
        client.open(URI, "def f(")
        client.inline(URI, 0, 6)
        assert client.last(URI)["source"] in ("model", "none")
        assert client.last(URI)["promptTokens"] > 0
        assert client.shutdown() == 0


def test_a_cancelled_download_goes_on_where_it_was(
    hub: FakeHub, environment: dict[str, str], make_checkpoint: MakeCheckpoint
) -> None:
    folder = make_checkpoint(Layout(4, 32), n_positions=200_000)  # 26 MB of position embeddings
    hub.add(NAME, {path.name: path.read_bytes() for path in folder.iterdir()})
    hub.hold_after = 12_000_000
    with Client.start(COMMAND, options={"model": NAME}, answers={ASK: yes}, env=environment) as client:
        assert hub.held.wait(PATIENCE)
        token, _ = progress(client)
        client.notify("window/workDoneProgress/cancel", {"token": token})
        assert "was stopped" in client.wait_for_state("error", PATIENCE)["message"]
        client.request("workspace/executeCommand", {"command": "starfill.pullModel", "arguments": [NAME]})
        client.wait_for("starfill/status", lambda status: status["message"] == f"Downloading {NAME}")
        hub.hold_after = None
        hub.go.set()
        assert client.wait_for_state("ready", PATIENCE)["model"] == NAME
    assert hub.weight_starts[0] == 0
    assert hub.weight_starts[-1] >= 10_000_000
