"""Completions turned on and off: in the settings, and for the session by commands."""

from __future__ import annotations

import pytest

from lsp.asking import ask_actions, messages, open_gate
from lsp.client import Client
from lsp.connection import ResponseError
from lsp.params import position, replace
from starfill.config.access_policy import AccessPolicy
from starfill.config.settings import Settings
from starfill.errors import RequestError
from starfill.lsp.documents.enablement import Enablement, Subject, Switch, switch_from, uri_from

PY = "file:///a.py"
OTHER = "file:///b.py"
LUA = "file:///a.lua"


def run(client: Client, command: str, *arguments):
    params = {"command": f"starfill.{command}", "arguments": list(arguments)}
    return client.request("workspace/executeCommand", params)


def turn(client: Client, scope: str, uri: str = PY, enabled: bool | None = None):
    return run(client, "setEnabled", {"scope": scope, "uri": uri, "enabled": enabled})


def suggests(client: Client, uri: str, trigger: int = 2) -> bool:
    return bool(client.inline(uri, 0, 0, trigger=trigger))


def configure(client: Client, **settings):
    client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": settings}})


@pytest.fixture
def client(start) -> Client:
    client = start()
    client.wait_for_state("ready")
    for uri, language in ((PY, "python"), (OTHER, "python"), (LUA, "lua")):
        client.open(uri, "", language)
    return client


# The rules


def state(settings: Settings, *turns: tuple[str, bool | None], language: str = "python", uri: str = PY):
    switches, subject = Enablement(), Subject(uri, language)
    for scope, enabled in turns:
        switches.switch(Switch(scope, uri, enabled), subject, settings)
    found = switches.state(subject, settings)
    return (found.all, found.language, found.file), found.reason


OFF = "suggestions are turned off"
LISTED = Settings(disabled_languages=("python",))
LUA_ONLY = Settings(enabled_languages=("lua",))
EXCLUDED = Settings(excluded_globs=("*.py",))


@pytest.mark.parametrize(
    ("settings", "turns", "expected", "reason"),
    [
        (Settings(), [], (True, True, True), ""),
        (Settings(), [("all", False)], (False, True, True), OFF),
        (Settings(), [("all", None)], (False, True, True), OFF),
        (Settings(), [("all", None), ("all", None)], (True, True, True), ""),
        (Settings(), [("language", None)], (True, False, True), f'{OFF} for the language "python"'),
        (Settings(), [("file", False)], (True, True, False), f"{OFF} for this file"),
        (Settings(), [("file", False), ("language", False)], (True, False, False), f'{OFF} for the language "python"'),
        (Settings(), [("file", False), ("file", True)], (True, True, True), ""),
        (Settings(enabled=False), [], (False, True, True), f"{OFF}: the setting enabled is false"),
        (Settings(enabled=False), [("all", None)], (True, True, True), ""),
        (Settings(enabled=False), [("file", True)], (False, True, True), f"{OFF}: the setting enabled is false"),
        (
            LISTED,
            [],
            (True, False, True),
            f'{OFF} for the language "python": the setting disabledLanguages lists it',
        ),
        (LISTED, [("language", None)], (True, True, True), ""),
        (LUA_ONLY, [("language", True)], (True, False, True), AccessPolicy.of(LUA_ONLY).refusal(PY, "python")),
        (EXCLUDED, [("file", True)], (True, True, False), AccessPolicy.of(EXCLUDED).refusal(PY, "python")),
    ],
)
def test_what_is_on(settings, turns, expected, reason):
    assert state(settings, *turns) == (expected, reason)


def test_what_is_on_where_no_document_is_open():
    assert state(LUA_ONLY, language="", uri="") == ((True, True, True), "")
    assert state(Settings(), ("all", False), language="", uri="") == ((False, True, True), OFF)


def test_a_changed_setting_is_newer_than_a_command():
    switches, subject = Enablement(), Subject(PY, "python")
    for scope in ("all", "language", "file"):
        switches.switch(Switch(scope, PY, False), subject, Settings())
    switches.configure(Settings(), Settings(max_new_tokens=7, disabled_languages=("lua",)))
    assert switches.state(subject, Settings()).as_json() == {
        "enabled": False,
        "all": False,
        "language": False,
        "file": False,
        "reason": OFF,
    }
    switches.configure(Settings(enabled=False, disabled_languages=("python",)), Settings())
    assert switches.state(subject, Settings()).as_json() == {
        "enabled": False,
        "all": True,
        "language": True,
        "file": False,
        "reason": f"{OFF} for this file",
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "starfill.setEnabled takes one argument, an object, but got []."),
        (("all",), 'starfill.setEnabled takes one argument, an object, but got ["all"].'),
        (({"scope": "world"},), '"scope" of starfill.setEnabled must be "all", "language" or "file", but is "world".'),
        (({"scope": "all", "enabled": 1},), '"enabled" of starfill.setEnabled must be true, false or null, but is 1.'),
        (({"scope": "file", "uri": 1},), '"uri" of starfill.setEnabled must be a text, but is 1.'),
    ],
)
def test_a_command_that_can_not_be_understood(arguments, sentence):
    with pytest.raises(RequestError) as refused:
        switch_from(arguments)
    assert str(refused.value) == sentence


def test_a_turn_that_lacks_its_document():
    switches = Enablement()
    with pytest.raises(RequestError, match='the document "x" is not open, so it has no language'):
        switches.switch(Switch("language", "x", None), Subject("x"), Settings())
    with pytest.raises(RequestError, match='needs a "uri"'):
        switches.switch(Switch("file", "", None), Subject(), Settings())
    assert uri_from([{}]) == ""


# Through the server


def test_everywhere(client):
    assert turn(client, "all") == {"enabled": False, "all": False, "language": True, "file": True, "reason": OFF}
    assert client.wait_for_state("paused")["message"] == OFF
    for trigger in (1, 2):
        assert not suggests(client, PY, trigger)
        assert client.last(PY)["reason"] == OFF
    assert not suggests(client, LUA)
    assert turn(client, "all", enabled=True)["reason"] == ""
    assert client.wait_for_state("ready")["message"] == ""
    assert suggests(client, PY)


def test_for_a_language_and_for_a_file(client):
    turn(client, "language")
    assert [suggests(client, uri) for uri in (PY, OTHER, LUA)] == [False, False, True]
    assert client.last(OTHER)["reason"] == f'{OFF} for the language "python"'
    turn(client, "language", OTHER, True)
    turn(client, "file", OTHER, False)
    assert [suggests(client, uri) for uri in (PY, OTHER, LUA)] == [True, False, True]
    assert run(client, "enabled", {"uri": OTHER})["reason"] == f"{OFF} for this file"
    assert run(client, "enabled", {"uri": PY})["enabled"] is True
    client.close(OTHER)
    client.open(OTHER, "")
    assert not suggests(client, OTHER)  # until the server ends
    assert {each["state"] for each in client.all("starfill/status")} == {"starting", "loading", "ready"}


def test_in_the_settings(client):
    configure(client, enabled=False)
    client.wait_for_state("paused")
    assert run(client, "enabled", {"uri": PY})["reason"] == f"{OFF}: the setting enabled is false"
    assert not suggests(client, PY)
    turn(client, "all", enabled=True)
    client.wait_for_state("ready")
    assert suggests(client, PY)
    configure(client, enabled=True, disabledLanguages=["lua"])
    assert [suggests(client, uri) for uri in (PY, LUA)] == [True, False]


def test_off_from_the_start(start):
    client = start(options={"enabled": False})
    client.wait_for_state("paused")
    client.open(PY, "x = old")
    assert not suggests(client, PY)
    (_, *_) = ask_actions(client, PY, (0, 0), (0, 7))
    command = {"uri": PY, "range": {"start": position(0, 0), "end": position(0, 7)}, "instruction": "Say new."}
    run(client, "instruct", command)  # code actions go on working
    client.wait_for("starfill/status", lambda status: status["state"] == "busy")
    client.wait_for_state("paused")


def test_nothing_is_prepared_while_it_is_off(client):
    turn(client, "all")
    client.change(PY, replace((0, 0), (0, 0), "#cursor "))
    turn(client, "all")
    (item,) = client.inline(PY, 0, 8)
    assert item["insertText"] == "None"
    client.change(PY, replace((0, 8), (0, 8), "x"))
    (item,) = client.inline(PY, 0, 9)
    assert item["insertText"] == "9"


def test_a_suggestion_that_comes_after_it_was_turned_off_is_withheld(client):
    client.change(PY, replace((0, 0), (0, 0), "#gate"))
    asked = client.ask_inline(PY, 0, 5)
    turn(client, "file")
    open_gate(client, PY)
    assert client.answer(asked)["items"] == []
    assert client.last(PY)["reason"] == f"{OFF} for this file"


@pytest.mark.parametrize(
    ("command", "argument", "sentence"),
    [
        ("setEnabled", {"scope": "world"}, '"scope" of starfill.setEnabled must be'),
        ("setEnabled", {"scope": "language", "uri": "file:///closed.py"}, '"file:///closed.py" is not open'),
        ("enabled", "all", "starfill.enabled takes one argument, an object"),
    ],
)
def test_a_wrong_command_is_answered_with_a_sentence(client, command, argument, sentence):
    with pytest.raises(ResponseError) as refused:
        run(client, command, argument)
    assert refused.value.code == -32602
    assert sentence in refused.value.message
    assert messages(client) == []
