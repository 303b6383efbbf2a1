"""The offer to download a model, and the command for it."""

from __future__ import annotations

from itertools import groupby

import pytest

from lsp.asking import go_on
from lsp.connection import ResponseError
from lsp.params import INLINE, silence

URI = "file:///a.py"
ASK = "window/showMessageRequest"
SENTENCE = "hub/coder was not pulled: run `starfill models pull hub/coder`"


def pick(*titles):
    """Answers each question with the first of its actions that begins with one of these titles, else with null."""

    def answer(params):
        actions = [each for each in params["actions"] if each["title"].startswith(titles)]
        return actions[0] if actions else None

    return answer


def questions(client):
    return [each["params"] for each in client.requests if each["method"] == ASK]


def progress_of(client, title):
    begin = client.wait_for("$/progress", lambda p: p["value"].get("title") == title)
    return begin["token"], [each["value"] for each in client.all("$/progress") if each["token"] == begin["token"]]


def pull(client, repository):
    return client.request("workspace/executeCommand", {"command": "starfill.pullModel", "arguments": [repository]})


def configure(client, **settings):
    client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": settings}})


def test_an_offer_that_is_accepted_ends_with_the_model(start):
    client = start(answers={ASK: pick("Ask the hub", "Download")}, options={"model": "hub/coder"})
    progress_of(client, "Starfill: downloading hub/coder")
    go_on(client)
    assert client.wait_for_state("ready")["model"] == "coder"
    first, second = questions(client)
    assert "Nothing leaves this machine before" in first["message"]
    assert [each["title"] for each in first["actions"]] == ["Ask the hub", "Not now"]
    assert [each["title"] for each in second["actions"]] == ["Download (7.3 GB)", "Not now"]
    _, values = progress_of(client, "Starfill: downloading hub/coder")
    assert values[0]["cancellable"] is True
    assert {"kind": "report", "message": "9 of 10", "percentage": 90} in values
    assert values[-1] == {"kind": "end"}
    told = client.all("starfill/status")
    assert 0.9 in [each["progress"] for each in told if each["message"] == "Downloading hub/coder"]
    states = [state for state, _ in groupby((each["state"], each["message"]) for each in told)]
    assert states == [
        ("starting", ""),
        ("loading", "Loading the model"),
        ("error", SENTENCE),
        ("loading", "Downloading hub/coder"),
        ("loading", "Loading the model"),
        ("ready", ""),
    ]
    assert client.all("window/showMessage") == []
    client.open(URI, "x = ")
    assert len(client.inline(URI, 0, 4)) == 1


def test_nothing_is_asked_of_the_hub_before_the_first_yes(start):
    client = start(answers={ASK: pick("Not now")}, options={"model": "hub/coder"})
    client.wait_for_state("error")
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4) == []
    assert client.last(URI)["reason"] == SENTENCE
    assert len(questions(client)) == 1
    assert "asked about" not in client.log
    configure(client, model="hub/coder", maxNewTokens=12)  # is no reason to ask again
    client.wait_for("starfill/status", lambda status: status["state"] == "error" and client.all("starfill/status")[3:])
    assert len(questions(client)) == 1


def test_the_size_is_known_before_the_second_yes(start):
    client = start(answers={ASK: pick("Ask the hub", "Not now")}, options={"model": "hub/coder"})
    client.wait_for_log("asked about hub/coder")
    client.wait(lambda: len(questions(client)) == 2, "the second question")
    assert client.request("starfill/lastCompletion", {"uri": URI})
    assert "pulling" not in client.log
    assert client.wait_for_state("error")["message"] == SENTENCE


def test_a_client_that_can_not_ask_is_told_the_command(start):
    def no_such_method(params):
        raise ResponseError({"code": -32601, "message": "no such method"})

    client = start(answers={ASK: no_such_method}, options={"model": "hub/coder"})
    assert client.wait_for("window/showMessage") == {"type": 1, "message": f"Starfill: {SENTENCE}"}
    assert client.wait_for_state("error")["message"] == SENTENCE


def test_a_question_may_stay_open(start):
    client = start(answers={ASK: silence}, options={"model": "hub/coder"})
    client.wait_for_state("error")
    configure(client, model="other")
    assert client.wait_for_state("ready")["model"] == "other"
    assert client.shutdown() == 0


def test_what_the_hub_refuses_is_said(start):
    client = start(answers={ASK: pick("Ask the hub")}, options={"model": "hub/gone"})
    sentence = "The hub has no repository hub/gone."
    assert client.wait_for("window/showMessage") == {"type": 1, "message": f"Starfill: {sentence}"}
    assert client.wait_for_state("error")["message"] == sentence


@pytest.mark.parametrize(
    "model,sentence",
    [
        ("hub/broken", "The hub can't be reached."),
        ("hub/crash", "hub/crash could not be downloaded: RuntimeError: boom"),
    ],
)
def test_a_download_that_fails_is_said(start, model, sentence):
    client = start(answers={ASK: pick("Ask the hub", "Download")}, options={"model": model})
    progress_of(client, f"Starfill: downloading {model}")
    go_on(client)
    assert client.wait_for("window/showMessage")["message"] == f"Starfill: {sentence}"
    assert client.wait_for_state("error")["message"] == sentence
    _, values = progress_of(client, f"Starfill: downloading {model}")
    assert values[-1] == {"kind": "end"}


@pytest.mark.parametrize("model,notices", [("hub/endless", True), ("hub/stuck", False)])
def test_cancelling_ends_the_progress_at_once(start, model, notices):
    client = start(options={"model": "bundled"})
    client.wait_for_state("ready")
    assert pull(client, model) is None
    token, _ = progress_of(client, f"Starfill: downloading {model}")
    client.notify("window/workDoneProgress/cancel", {"token": token})
    message = client.wait_for("window/showMessage")["message"]
    assert "was stopped; what is here is kept" in message
    assert f"`starfill models pull {model}` goes on from there" in message
    _, values = progress_of(client, f"Starfill: downloading {model}")
    assert values[-1] == {"kind": "end"}
    if notices:
        client.wait_for_log("noticed the stop")
    assert client.wait_for_state("ready")["model"] == "bundled"
    assert pull(client, model) is None  # goes on
    client.wait(lambda: client.log.count("pulling") == 2, "a second download")


def test_the_command_pulls_without_questions(start):
    client = start()
    client.wait_for_state("ready")
    assert "starfill.pullModel" in client.initialize_result["capabilities"]["executeCommandProvider"]["commands"]
    assert pull(client, "hub/coder") is None
    go_on(client)
    message = client.wait_for("window/showMessage")
    assert message == {
        "type": 3,
        "message": "Starfill: hub/coder is on this machine now; the setting model may name it",
    }
    assert questions(client) == []
    configure(client, model="hub/coder")
    client.wait_for("starfill/status", lambda status: (status["state"], status["model"]) == ("ready", "coder"))
    assert questions(client) == []


def test_the_command_loads_the_model_that_is_wanted(start):
    client = start(answers={ASK: pick("Not now")}, options={"model": "hub/slow:main"})
    client.wait_for_state("error")
    pull(client, "hub/slow")
    client.wait_for("starfill/status", lambda status: status["message"] == "Downloading hub/slow")
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4) == []  # the event loop is free
    configure(client, model="hub/slow", maxNewTokens=12)
    client.inline(URI, 0, 4)  # by now the settings were heard of
    go_on(client)
    assert client.wait_for_state("ready")["state"] == "ready"
    assert client.all("window/showMessage") == []


def test_a_second_request_joins_the_first(start):
    client = start()
    client.wait_for_state("ready")
    pull(client, "hub/slow")
    pull(client, "hub/slow:main")
    go_on(client)
    client.wait_for("window/showMessage")
    assert client.log.count("pulling hub/slow") == 1
    assert len(client.all("window/showMessage")) == 1


def test_a_client_without_progress_is_served_too(start):
    capabilities = {"textDocument": INLINE["textDocument"]}
    client = start(capabilities, {"model": "hub/coder"}, answers={ASK: pick("Ask the hub", "Download")})
    go_on(client)
    client.wait_for_state("ready")
    assert client.all("$/progress") == []


@pytest.mark.parametrize("model", ["hub/endless", "hub/stuck"])
def test_a_download_does_not_hold_up_the_end(start, model):
    client = start()
    client.wait_for_state("ready")
    pull(client, model)
    client.wait_for_log(f"pulling {model}")
    client.request("shutdown")
    client.notify("exit")
    assert client.exit_code() == 0
