"""The real backend with a serving engine: nothing is sent before a yes, and the local model stands in."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading

import pytest
from click.testing import CliRunner

from lsp.asking import messages
from lsp.client import Client
from lsp.models.consenting import ASK, URI, configure, engine, pick, questions, wait_for_question
from lsp.params import silence
from remote.fake_engine import FakeEngine
from starfill.cli.main import main

SERVER = """
from starfill.app.backend import LocalBackend
from starfill.lsp.models import model_loader
from starfill.lsp.transport import serve_stdio
model_loader.RETRY_AFTER = 0.05
serve_stdio(LocalBackend())
"""


@pytest.fixture
def real(tmp_path, monkeypatch, warm_with_torch):
    """Start the real server; what is allowed is kept in a folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    clients = []

    def begin(**options):
        client = Client.start([sys.executable, "-c", SERVER], popen=warm_with_torch.popen, **options)
        clients.append(client)
        return client

    yield begin
    for client in clients:
        client.kill()


@pytest.fixture
def listener():
    """An address of this machine that isn't a loopback one by name, and what has connected to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        connections, ended = [], threading.Event()

        def listen():
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    connections.append(server.accept()[0])

        thread = threading.Thread(target=listen)
        thread.start()
        yield f"http://0.0.0.0:{server.getsockname()[1]}", connections
        ended.set()
        thread.join()
        for connection in connections:
            connection.close()


def test_nothing_at_all_is_sent_before_a_yes(real, listener):
    url, connections = listener
    client = real(options=engine(url), answers={ASK: silence})
    wait_for_question(client)
    configure(client, engine={"url": url + "/v1", "apiKeyEnv": "NO_SUCH_VARIABLE"})
    client.wait_for_state("error")
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4) == []
    assert client.shutdown() == 0
    assert connections == []
    assert len(questions(client)) == 1


def test_a_yes_is_kept_for_the_next_server(real, tmp_path):
    engine_here = FakeEngine(model="starfill")
    url = engine_here.url.replace("127.0.0.1", "0.0.0.0")
    client = real(options=engine(url), answers={ASK: pick("Allow")})
    assert client.wait_for_state("ready")["device"] == url
    assert json.loads((tmp_path / "starfill" / "engines.json").read_text()) == {"allowed": [url]}
    again = real(options=engine(url), answers={ASK: silence})
    assert again.wait_for_state("ready")["device"] == url
    assert questions(again) == []
    engine_here.stop()


def test_what_is_allowed_on_a_command_line_is_noticed(real, tmp_path):
    engine_here = FakeEngine(model="starfill")
    url = engine_here.url.replace("127.0.0.1", "0.0.0.0")
    client = real(options=engine(url), answers={ASK: pick("Not now")})
    wait_for_question(client)
    client.wait_for_state("error")
    assert engine_here.looked == []
    assert CliRunner().invoke(main, ["engine", "allow", url]).exit_code == 0
    assert client.wait_for_state("ready")["device"] == url
    engine_here.stop()


def test_the_model_here_stands_in_for_an_engine_that_is_not_there(real):
    engine_here = FakeEngine(model="starfill")
    engine_here.stop()
    client = real(options=engine(engine_here.url, latencyBudgetMs=5000))
    status = client.wait_for("starfill/status", lambda status: status["message"].startswith("bundled"), 60)
    assert (status["state"], status["model"], status["device"]) == ("ready", "bundled", "cpu")
    assert "bundled on this machine suggests instead" in status["message"] and "can't be reached" in status["message"]
    client.open(URI, "import json\n\n\ndef load(path):\n    with open(path) as file:\n        return json.")
    assert client.inline(URI, 5, 20)
    assert client.last(URI)["model"] == "bundled"
    assert messages(client) == []


@pytest.mark.parametrize("budget", [0, 5000])
def test_an_engine_that_ends_and_comes_back(real, budget):
    """Nobody has to type for the state to become right again."""
    engine_here = FakeEngine(model="starfill", answer=lambda prompt: "away()\n")
    client = real(options=engine(engine_here.url, latencyBudgetMs=budget))
    assert client.wait_for_state("ready", 60)["device"] == engine_here.url
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4)[0]["insertText"] == "away()"
    engine_here.stop()
    client.open("file:///b.py", "import json\n\n\ndef load(path):\n    with open(path) as file:\n        return json.")
    items = client.inline("file:///b.py", 5, 20)
    last = client.last("file:///b.py")
    if budget:
        client.wait_for("starfill/status", lambda status: status["message"].startswith("bundled"))
        assert items and last["model"] == "bundled"
    else:
        assert "can't be reached" in client.wait_for_state("error")["message"]
        assert items == [] and "can't be reached" in last["reason"]
    engine_here.start()
    client.wait_for("starfill/status", lambda _: client.all("starfill/status")[-1]["message"] == "")
    assert client.wait_for_state("ready")["device"] == engine_here.url
    client.open("file:///c.py", "y = ")  # the other suggestion would be typed through
    assert client.inline("file:///c.py", 0, 4)[0]["insertText"] == "away()"
    assert messages(client) == []
    engine_here.stop()
