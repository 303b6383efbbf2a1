"""A serving engine in the editor: is it allowed, is it there, who suggests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import threading
from itertools import groupby

import pytest
from click.testing import CliRunner

from lsp.asking import ask_resolve, messages
from lsp.client import Client, ResponseError, silence
from lsp.profiles import ANSWERS, FULL
from remote.fake_engine import FakeEngine
from starfill.cli.main import main
from starfill.errors import ConsentError
from starfill.lsp.models.consent import EngineConsents

URI = "file:///a.py"
ASK = "window/showMessageRequest"
ORIGIN = "https://engine.example.com"
SENTENCE = f"{ORIGIN} is another machine: run `starfill engine allow {ORIGIN}`"
HERE = "http://127.0.0.1:1"
PROFILE = FULL | {"workspace": FULL["workspace"] | {"configuration": False}}  # settings hold as soon as they are pushed


def pick(title):
    """Answers each question with the action that begins so, else as one who closes it."""
    return lambda params: next((each for each in params["actions"] if each["title"].startswith(title)), None)


def no_such_method(params):
    raise ResponseError({"code": -32601, "message": "no such method"})


def questions(client):
    return [each["params"] for each in list(client.requests) if each["method"] == ASK]


def wait_for_question(client, how_many=1):
    client.wait(lambda: len(questions(client)) == how_many, f"question {how_many}")
    return client.requests[-1]["id"]


def configure(client, **settings):
    client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": settings}})


def states(client):
    """Without repetitions, and without the question whether what is computed takes long."""
    told = [(each["state"], each["message"]) for each in client.all("starfill/status") if each["state"] != "busy"]
    return [state for state, _ in groupby(told)]


def engine(url, **more):
    return {"engine": {"url": url, **more}}


def simplified(client):
    return client.answer(ask_resolve(client, "simplify", URI, (0, 0), (1, 0)))


def test_an_engine_that_is_allowed_is_used(start):
    client = start(options=engine(ORIGIN), answers={ASK: pick("Allow")})
    status = client.wait_for_state("ready")
    assert (status["model"], status["device"]) == ("away", ORIGIN)
    (question,) = questions(client)
    assert ORIGIN in question["message"] and "code around your cursor" in question["message"]
    assert "not encrypted" not in question["message"]
    assert [each["title"] for each in question["actions"]] == [f"Allow {ORIGIN}", "Not now"]
    loading = ("loading", "Asking the engine")
    before, after = [("starting", ""), loading, ("error", SENTENCE)], [("ready", "")]
    assert states(client) in ([*before, loading, *after], [*before, *after])  # the next try may notice the yes first
    client.wait_for_log(f"asking {ORIGIN}")
    assert client.log.index(f"allowing {ORIGIN}") < client.log.index(f"asking {ORIGIN}")
    assert messages(client) == []
    client.open(URI, "x = ")
    assert len(client.inline(URI, 0, 4)) == 1
    last = client.last(URI)
    assert (last["model"], last["device"]) == ("away", ORIGIN)


@pytest.mark.parametrize("answer", ["Not now", "is closed"])
def test_a_no_holds_until_the_server_ends(start, answer):
    client = start(options=engine(ORIGIN), answers={ASK: pick(answer)})
    wait_for_question(client)
    assert client.wait_for_state("error")["message"] == SENTENCE
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4) == [] and client.last(URI)["reason"] == SENTENCE
    configure(client, maxNewTokens=12, engine={"url": ORIGIN})
    configure(client, engine={"url": ""})
    assert client.wait_for_state("ready")["model"] == "bundled"
    configure(client, engine={"url": ORIGIN})
    assert client.wait_for_state("error")["message"] == SENTENCE
    assert len(questions(client)) == 1 and messages(client) == [] and f"asking {ORIGIN}" not in client.log


def test_a_client_that_can_not_ask_is_told_the_command_once(start):
    client = start(options=engine(ORIGIN), answers={ASK: no_such_method})
    assert client.wait_for("window/showMessage") == {"type": 1, "message": f"Starfill: {SENTENCE}"}
    configure(client, engine={"url": ""})
    client.wait_for_state("ready")
    configure(client, engine={"url": ORIGIN})
    assert client.wait_for_state("error")["message"] == SENTENCE
    assert len(messages(client)) == 1 and f"asking {ORIGIN}" not in client.log


def test_other_settings_while_the_question_is_open(start):
    client = start(options=engine(ORIGIN), answers={ASK: silence})
    identifier = wait_for_question(client)
    configure(client, engine={"url": HERE})
    assert client.wait_for_state("ready")["device"] == HERE
    client.send({"id": identifier, "result": {"title": f"Allow {ORIGIN}"}})
    client.wait_for_log(f"allowing {ORIGIN}")
    assert client.wait_for_state("ready")["device"] == HERE and f"asking {ORIGIN}" not in client.log
    configure(client, engine={"url": ORIGIN})
    client.wait_for("starfill/status", lambda status: (status["state"], status["device"]) == ("ready", ORIGIN))
    assert len(questions(client)) == 1


def test_the_answer_may_come_after_settings_that_change_nothing_of_it(start):
    client = start(options=engine(ORIGIN), answers={ASK: silence})
    identifier = wait_for_question(client)
    configure(client, maxNewTokens=12, engine={"url": ORIGIN})
    client.send({"id": identifier, "result": {"title": f"Allow {ORIGIN}"}})
    assert client.wait_for_state("ready")["device"] == ORIGIN
    assert len(questions(client)) == 1


def test_what_can_not_be_kept_is_said_and_not_used(start):
    client = start(options=engine("https://engine.example.com/readonly"), answers={ASK: pick("Allow")})
    assert client.wait_for("window/showMessage")["message"] == "Starfill: What you allow can't be kept."
    assert client.wait_for_state("error") and f"asking {ORIGIN}" not in client.log


def test_without_encryption_the_question_says_so(start):
    class Asked:
        message = ""

        async def window_show_message_request_async(self, params):
            self.message = params.message

    client = Asked()
    consents = EngineConsents(client, None)
    assert asyncio.run(consents.agreed(ConsentError("", "http://10.0.0.1:8000"))) is False
    assert "The connection is not encrypted." in client.message


# The actions' engine


@pytest.fixture
def acting(start):
    """A client of a server whose completions are local and whose actions are an engine's."""

    def begin(answer, url=ORIGIN):
        client = start(PROFILE, engine(url, use="actions"), answers=ANSWERS | {ASK: answer})
        assert client.wait_for_state("ready")["model"] == "bundled"
        client.open(URI, "old = 1\n")
        return client

    return begin


def test_the_first_action_asks_and_goes_on(acting):
    client = acting(pick("Allow"))
    assert questions(client) == []
    for _ in range(2):
        assert simplified(client)["edit"]["changeAnnotations"]["starfill"]["description"] == "written by away"
    assert len(questions(client)) == 1
    assert client.wait_for_state("ready")["model"] == "bundled"


@pytest.mark.parametrize("answer", [pick("Not now"), no_such_method])
def test_a_refused_action_says_how_to_allow_it(acting, answer):
    client = acting(answer)
    for times in (1, 2):
        simplified_or_not = ask_resolve(client, "simplify", URI, (0, 0), (1, 0))
        assert "edit" not in client.answer(simplified_or_not)
        client.wait(lambda times=times: len(messages(client)) == times, "a message")
    assert all(SENTENCE in message for message in messages(client))
    assert len(questions(client)) == 1 and f"asking {ORIGIN}" not in client.log
    assert client.inline(URI, 0, 0)[0]["insertText"] == "42"


def test_an_action_goes_on_with_other_settings_while_the_question_is_open(acting):
    client = acting(silence)
    asked = ask_resolve(client, "simplify", URI, (0, 0), (1, 0))
    wait_for_question(client)
    configure(client, engine={"url": HERE, "use": "actions"})
    assert client.answer(asked)["edit"]["changeAnnotations"]["starfill"]["description"] == "written by away"
    assert f"asking {HERE}" in client.log and f"asking {ORIGIN}" not in client.log


# An engine that fails


def test_an_engine_that_is_not_there_is_said_once_and_found_later(start):
    client = start(options=engine(f"{HERE}/late"))
    sentence = f"{HERE}/late can't be reached (refused)"
    assert client.wait_for_state("ready")["device"] == f"{HERE}/late"
    assert states(client) == [("starting", ""), ("loading", "Asking the engine"), ("error", sentence), ("ready", "")]
    assert messages(client) == [f"Starfill: {sentence}"]
    titles = [each["value"].get("title") for each in client.all("$/progress")]
    assert titles.count("Starfill: asking the engine") <= 1  # none where it was over too soon to be shown


def test_what_is_wrong_in_another_way_then_is_said_too(start):
    client = start(options=engine(f"{HERE}/late-and-wrong"))
    client.wait(lambda: len(messages(client)) == 2, "a second message")
    assert [message.rpartition(" has ")[2] for message in messages(client)] == ["1 models", "4 models"]


def test_retries_end_with_other_settings(start):
    client = start(options=engine(f"{HERE}/gone"))
    client.wait(lambda: client.log.count("asking") > 3, "some attempts")
    configure(client, model="other", engine={"url": ""})
    assert client.wait_for_state("ready")["model"] == "other"
    before = client.log.count("asking")
    client.open(URI, "#busy")
    client.inline(URI, 0, 0)  # takes four times as long as until the next attempt
    assert client.log.count("asking") == before
    assert client.shutdown() == 0


@pytest.mark.parametrize("budget", [0, 250])
def test_trouble_is_a_state_and_ends_by_itself(start, budget):
    client = start(options=engine(HERE, latencyBudgetMs=budget))
    client.wait_for_state("ready")
    client.open(URI, "#trouble it is gone")
    client.inline(URI, 0, 0)
    told = client.wait_for("starfill/status", lambda status: "it is gone" in status["message"])
    if budget:
        sentence = "bundled on this machine suggests instead: it is gone"
        expected = {"state": "ready", "message": sentence, "model": "bundled", "device": "cpu"}
    else:
        expected = {"state": "error", "message": "it is gone", "model": "away", "device": HERE}
    assert told == expected | {"progress": None}
    client.open("file:///b.py", "#recovered")
    client.inline("file:///b.py", 0, 0)
    client.wait_for("starfill/status", lambda _: client.all("starfill/status")[-1]["message"] == "")
    assert client.wait_for_state("ready")["device"] == HERE
    assert messages(client) == []


def test_a_completion_that_fails_is_a_reason_and_no_popup(start):
    client = start(options=engine(HERE))
    client.wait_for_state("ready")
    client.open(URI, "#failure")
    assert client.inline(URI, 0, 0) == []
    assert client.last(URI)["reason"] == "The engine can't be reached."
    assert messages(client) == []


# The real backend

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
