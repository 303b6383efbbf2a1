"""The actions' own model: loaded when the first action needs it, and its failures are not the completions'."""

import pytest

from lsp.asking import CREATE, action, ask_actions, ask_resolve, from_server, go_on, messages, notes
from lsp.connection import ResponseError
from lsp.params import silence
from lsp.profiles import ANSWERS, FULL

URI = "file:///two.py"
PROFILE = FULL | {"workspace": FULL["workspace"] | {"configuration": False}}  # settings hold as soon as they are pushed


@pytest.fixture
def client_with(start):
    def begin(ready="ready", **options):
        client = start(PROFILE, options, answers=ANSWERS)
        client.wait_for_state(ready)
        client.open(URI, "old = 1\n")
        return client

    return begin


def simplified(client):
    return client.answer(ask_resolve(client, "simplify", URI, (0, 0), (1, 0)))


def assert_logged(client, text, times=1):
    """The log comes by a way of its own, and may come later."""
    client.wait(lambda: client.log.count(text) >= times, f"{text!r} in the log")
    assert client.log.count(text) == times


def configure(client, **settings):
    client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": settings}})


def test_one_model_does_both(client_with):
    client = client_with()
    assert simplified(client)["edit"]["changeAnnotations"]["starfill"]["description"] == "written by bundled"
    simplified(client)
    assert_logged(client, "loading instructor '' beside bundled")
    titles = [each["value"].get("title") for each in client.all("$/progress")]
    assert set(titles) - {None} <= {"Starfill: loading the model", "Starfill: simplify"}


@pytest.mark.parametrize("options", [{"instruct": {"model": "slow"}}, {"instruct.model": "slow"}])
def test_the_second_one_is_loaded_with_the_first_action(client_with, options):
    client = client_with(**options)
    assert all("disabled" not in each for each in ask_actions(client, URI, (0, 0), (1, 0)))
    assert "loading instructor" not in client.log
    first, second = (ask_resolve(client, "simplify", URI, (0, 0), (1, 0)) for _ in range(2))
    assert client.inline(URI, 0, 0)[0]["insertText"] == "42"  # meanwhile
    assert client.wait_for("$/progress", lambda p: p["value"].get("title") == "Starfill: loading slow")
    go_on(client)
    for asked in (first, second):
        edit = client.answer(asked)["edit"]
        assert edit["changeAnnotations"]["starfill"]["description"] == "written by slow"
    assert_logged(client, "loading instructor 'slow' beside bundled")
    assert client.wait_for_state("ready")["model"] == "bundled"


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("missing", "The folder missing has no config.json: name a checkpoint folder."),
        ("crash", 'The model "crash" could not be loaded for actions: RuntimeError: boom'),
    ],
)
def test_a_failure_is_a_sentence_and_completions_go_on(client_with, model, sentence):
    client = client_with(instruct={"model": model})
    assert "edit" not in simplified(client)
    assert messages(client) == [f"Starfill: {sentence}"]
    assert client.wait_for_state("ready")["model"] == "bundled"
    assert client.inline(URI, 0, 0)[0]["insertText"] == "42"
    assert "edit" not in simplified(client)  # tried once more
    assert_logged(client, f"loading instructor '{model}'", 2)
    configure(client, instruct={"model": "other"})
    assert simplified(client)["edit"]["changeAnnotations"]["starfill"]["description"] == "written by other"


def test_actions_of_their_own_model_need_no_other(client_with):
    client = client_with("error", model="missing", instruct={"model": "other"})
    assert simplified(client)["edit"]
    assert_logged(client, "loading instructor 'other' beside None")
    client.wait_for_state("error")


def test_the_second_one_waits_for_the_first(client_with):
    client = client_with("loading", model="slow", instruct={"model": "other"})
    asked = ask_resolve(client, "simplify", URI, (0, 0), (1, 0))
    assert client.inline(URI, 0, 0) == []  # by now it waits
    go_on(client)
    assert client.answer(asked)["edit"]
    assert_logged(client, "loading instructor 'other' beside slow")


def test_settings_reach_it(client_with):
    client = client_with(instruct={"model": "other"})
    simplified(client)
    configure(client, instruct={"model": "other"}, maxNewTokens=9)
    assert "instructor configured 9" in notes(client)
    assert_logged(client, "loading instructor")


@pytest.mark.parametrize(
    ("before", "after", "closed", "writer"),
    [
        ({}, {"instruct": {"model": "other"}}, "bundled", "other"),
        ({"instruct": {"model": "other"}}, {"instruct": {"model": "third"}}, "other", "third"),
        ({"instruct": {"model": "other"}}, {"instruct": {"model": ""}}, "other", "bundled"),
        ({}, {"model": "second"}, "bundled", "second"),
        (
            {"instruct": {"model": "bundled"}},
            {"model": "second", "instruct": {"model": "bundled"}},
            "bundled",
            "bundled",
        ),
    ],
)
def test_another_one_replaces_it(client_with, before, after, closed, writer):
    client = client_with(**before)
    simplified(client)
    configure(client, **after)
    client.wait_for_log(f"closed instructor {closed}")
    client.wait_for_state("ready")
    edit = simplified(client)["edit"]
    assert edit["changeAnnotations"]["starfill"]["description"] == f"written by {writer}"


def test_the_last_of_several_models_wins(client_with):
    client = client_with(instruct={"model": "slow"})
    asked = ask_resolve(client, "simplify", URI, (0, 0), (1, 0))
    client.wait_for_log("loading instructor 'slow'")
    configure(client, instruct={"model": "other"})
    client.inline(URI, 0, 0)  # by now the settings were heard of
    go_on(client)
    edit = client.answer(asked)["edit"]
    assert edit["changeAnnotations"]["starfill"]["description"] == "written by other"
    client.wait_for_log("closed instructor slow")


def test_a_load_that_is_not_waited_for_goes_on(client_with):
    client = client_with(instruct={"model": "slow"})
    asked = ask_resolve(client, "simplify", URI, (0, 0), (1, 0))
    client.wait_for_log("loading instructor 'slow'")
    client.notify("$/cancelRequest", {"id": asked})
    with pytest.raises(ResponseError):
        client.answer(asked)
    again = ask_resolve(client, "simplify", URI, (0, 0), (1, 0))
    go_on(client)
    assert client.answer(again)["edit"]
    assert_logged(client, "loading instructor")


def test_a_client_that_never_answers_does_not_hold_up_an_action(start):
    answers = ANSWERS | {"window/workDoneProgress/create": silence}
    client = start(FULL, {"instruct": {"model": "slow"}}, answers=answers)
    client.wait_for_state("ready")
    client.open(URI, "old = 1\n")
    asked = ask_resolve(client, "simplify", URI, (0, 0), (1, 0))
    assert from_server(client, CREATE)
    go_on(client)
    assert client.answer(asked)["edit"]
    assert client.all("$/progress") == []
    assert action(client, "explain", URI, (0, 0), (1, 0))
