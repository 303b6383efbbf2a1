from lsp.asking import CREATE, from_server, go_on
from lsp.params import INLINE, silence

URI = "file:///a.py"


def test_requests_before_the_model_is_ready(start):
    client = start(options={"model": "slow"})
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4) == []
    assert client.last(URI)["reason"] == "the model is still loading"
    go_on(client)
    client.wait_for_state("ready")
    assert len(client.inline(URI, 0, 4)) == 1
    told = client.all("starfill/status")
    states = list(dict.fromkeys((each["state"], each["model"], each["device"]) for each in told))
    assert states[:3] == [("starting", "", ""), ("loading", "slow", "auto"), ("ready", "slow", "cpu")]


def test_less_memory_is_said_and_suggestions_go_on(start):
    client = start()
    client.wait_for_state("ready")
    client.open(URI, "#trouble it ran out")
    client.inline(URI, 0, 0)
    told = client.wait_for("starfill/status", lambda status: status["message"] == "it ran out")
    assert (told["state"], told["device"]) == ("ready", "cpu")
    assert client.wait_for("window/showMessage", lambda _: True)["message"] == "Starfill: it ran out"
    assert len(client.inline(URI, 0, 0)) == 1


def test_progress(start):
    client = start(options={"model": "talkative"})
    client.wait_for("$/progress")
    go_on(client)
    client.wait_for("$/progress", lambda params: params["value"].get("percentage") == 50)
    go_on(client)
    client.wait_for_state("ready")
    (create,) = [each for each in client.requests if each["method"] == "window/workDoneProgress/create"]
    progress = [each for each in client.all("$/progress") if each["token"] == create["params"]["token"]]
    values = [each["value"] for each in progress]
    assert values[0] == {
        "kind": "begin",
        "title": "Starfill: loading the model",
        "message": "Looking around",
        "percentage": 0,
    }
    assert values[-1] == {"kind": "end"}
    reports = values[1:-1]
    assert {each["kind"] for each in reports} == {"report"}
    assert len(reports) <= 103  # a thousand were made: one for each percent is told
    assert reports[-1] == {"kind": "report", "message": "Done", "percentage": 100}
    told = [each["progress"] for each in client.all("starfill/status") if each["state"] == "loading"]
    assert told[0] is None and told[-1] == 1.0
    assert told[1:] == sorted(set(told[1:]))  # each whole percent once
    assert client.wait_for_state("ready")["progress"] is None


def test_no_progress_for_a_client_without_it(start):
    client = start({"textDocument": {"inlineCompletion": {}}}, {"model": "talkative"})
    client.wait_for_state("loading")
    go_on(client)
    client.wait_for("starfill/status", lambda status: status["progress"] == 0.5)
    go_on(client)
    client.wait_for_state("ready")
    assert client.requests == []
    assert client.all("$/progress") == []


def test_a_client_that_never_answers_does_not_hold_up_the_load(start):
    client = start(answers={"window/workDoneProgress/create": silence}, options={"model": "slow"})
    from_server(client, CREATE)
    go_on(client)
    client.wait_for_state("ready")


def test_a_model_that_can_not_be_loaded(start):
    client = start(options={"model": "missing"})
    sentence = "The folder missing has no config.json: name a checkpoint folder."
    assert client.wait_for_state("error") == {
        "state": "error",
        "message": sentence,
        "model": "missing",
        "device": "auto",
        "progress": None,
    }
    assert client.wait_for("window/showMessage") == {"type": 1, "message": f"Starfill: {sentence}"}
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4) == []
    assert client.last(URI)["reason"] == sentence
    client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": {"model": "other"}}})
    assert client.wait_for_state("ready")["model"] == "other"
    assert len(client.inline(URI, 0, 4)) == 1
    assert len(client.all("window/showMessage")) == 1


def test_an_unexpected_failure_is_named_too(start):
    client = start(options={"model": "crash"})
    message = client.wait_for_state("error")["message"]
    assert message == 'The model "crash" could not be loaded: RuntimeError: boom'
    client.wait_for_log("RuntimeError: boom")


def test_another_model_replaces_the_old_one(start):
    client = start(INLINE)
    client.wait_for_state("ready")
    client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": {"model": "slow"}}})
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4) == []
    assert client.last(URI)["reason"] == "the model is still loading"
    go_on(client)
    client.wait_for("starfill/status", lambda status: status["state"] == "ready" and status["model"] == "slow")
    client.wait_for_log("closed bundled")


def test_the_last_of_several_models_wins(start):
    client = start(options={"model": "slow"})
    for model in ("missing", "other"):
        client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": {"model": model}}})
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4) == []  # by now both were heard of
    go_on(client)
    assert client.wait_for_state("ready")["model"] == "other"
    assert client.all("window/showMessage") == []
