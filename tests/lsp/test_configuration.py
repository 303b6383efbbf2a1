from itertools import groupby

import pytest

from lsp.params import INLINE

URI = "file:///a.py"
PULL = INLINE | {"workspace": {"configuration": True, "didChangeConfiguration": {"dynamicRegistration": True}}}


def settings(client) -> str:
    """The settings that the assistant has."""
    client.open("file:///settings.py", "#settings")
    (item,) = client.inline("file:///settings.py", 0, 0)
    return item["insertText"]


def loads(client) -> list[dict]:
    """What was told while a model was loading; each load begins without a progress."""
    return [each for each in client.all("starfill/status") if each["state"] == "loading"]


@pytest.mark.parametrize("options", [{"maxNewTokens": 7}, {"starfill": {"maxNewTokens": 7}}])
def test_initialization_options(start, options):
    client = start(options=options)
    client.wait_for_state("ready")
    assert "max_new_tokens=7" in settings(client)
    assert client.all("window/showMessage") == []


@pytest.mark.parametrize("pushed", [{"starfill": {"maxNewTokens": 9}}, {"maxNewTokens": 9}])
def test_pushed_settings(start, pushed):
    client = start(options={"maxNewTokens": 7, "topP": 0.5})
    client.wait_for_state("ready")
    client.notify("workspace/didChangeConfiguration", {"settings": pushed})
    client.open("file:///notes.py", "#notes")
    assert "configured max_new_tokens=9" in client.inline("file:///notes.py", 0, 0)[0]["insertText"]
    assert "max_new_tokens=9" in settings(client)
    assert "top_p=0.5" in settings(client)
    states = [state for state, _ in groupby(each["state"] for each in client.all("starfill/status"))]
    assert (states[0], states.count("loading")) == ("starting", 1)


@pytest.mark.parametrize("pushed", [None, {}, {"python": {"x": 1}}, [], {"starfill": None}])
def test_other_pushes_change_nothing(start, pushed):
    client = start(options={"maxNewTokens": 7})
    client.wait_for_state("ready")
    client.notify("workspace/didChangeConfiguration", {"settings": pushed})
    assert "max_new_tokens=7" in settings(client)
    assert client.all("window/showMessage") == []


def test_pulled_settings(start):
    held = {"maxNewTokens": 11, "topP": None}
    client = start(PULL, {"maxNewTokens": 7, "topP": 0.5}, answers={"workspace/configuration": lambda params: [held]})
    client.wait_for_state("ready")
    assert "max_new_tokens=11" in settings(client)
    assert "top_p=0.5" in settings(client)
    requests = {each["method"]: each["params"] for each in client.requests}
    assert requests["workspace/configuration"] == {"items": [{"section": "starfill"}]}
    (registration,) = requests["client/registerCapability"]["registrations"]
    assert registration["method"] == "workspace/didChangeConfiguration"
    assert registration["registerOptions"] == {"section": "starfill"}

    held["maxNewTokens"] = 12
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    for _ in range(100):  # until the client's answer has arrived
        if "max_new_tokens=12" in settings(client):
            break
    assert "max_new_tokens=12" in settings(client)


def test_a_client_that_has_no_such_section(start):
    client = start(PULL, {"maxNewTokens": 7}, answers={"workspace/configuration": lambda params: [None]})
    client.wait_for_state("ready")
    assert "max_new_tokens=7" in settings(client)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"maxNewTokens": "many"}, 'The setting "starfill.maxNewTokens" is "many", but must be a whole number'),
        ({"starfill": {"modle": "x"}}, 'There is no setting "starfill.modle": did you mean "model"?'),
        ([1, 2], "The settings are [1, 2], but must be an object"),
        ({"starfill": "bundled"}, 'The settings are "bundled", but must be an object'),
    ],
)
def test_a_wrong_setting_is_named_once_and_its_default_used(start, options, sentence):
    client = start(options=options)
    client.wait_for_state("ready")
    message = client.wait_for("window/showMessage")
    assert message["type"] == 2
    assert message["message"].startswith(f"Starfill: {sentence}")
    assert "max_new_tokens=64" in settings(client)
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    settings(client)
    assert len(client.all("window/showMessage")) == 1


def test_languages_and_files_that_are_off(start):
    client = start(options={"enabledLanguages": ["python"], "excludedGlobs": ["**/*.env"]})
    client.wait_for_state("ready")
    client.open("file:///a.md", "x", "markdown")
    client.open("file:///home/me/prod.env", "x")
    client.open(URI, "x = ")
    assert client.inline("file:///a.md", 0, 0) == []
    assert '"markdown"' in client.last("file:///a.md")["reason"]
    assert client.inline("file:///home/me/prod.env", 0, 0) == []
    assert '"**/*.env"' in client.last("file:///home/me/prod.env")["reason"]
    assert len(client.inline(URI, 0, 4)) == 1


def test_a_setting_that_the_model_cannot_follow(start):
    client = start(options={"layout": "spm"})
    client.wait_for_state("ready")
    assert [each["message"] for each in client.all("window/showMessage")] == ["Starfill: It knows no SPM."]
    client.notify("workspace/didChangeConfiguration", {"settings": {"layout": "psm"}})
    assert "layout='psm'" in settings(client)
    assert len(client.all("window/showMessage")) == 1


def test_another_family_loads_the_model_again(start):
    client = start(options={})
    client.wait_for_state("ready")
    client.notify("workspace/didChangeConfiguration", {"settings": {"family": "plain"}})
    client.wait_for("starfill/status", lambda _: [each["progress"] for each in loads(client)].count(None) == 2)
    client.wait_for_state("ready")
    assert "family='plain'" in settings(client)
