"""The extension and its server in VS Code: settings, switches, models, a crash, an installation."""

from __future__ import annotations

import pytest

from editors.screen import until
from editors.vscode.browser import Browser
from editors.vscode.code_server import CodeServer
from editors.vscode.window import Window

SOURCE = "import json\n\n\ndef load(path):\n    with open(path) as file: return json"
READY = "Starfill: ready, model bundled on cpu"
ROW = ".quick-input-list .monaco-list-row"
TOAST = ".notification-toast"


@pytest.fixture
def file(window: Window, request: pytest.FixtureRequest) -> str:
    """Open, with its suggestions turned on."""
    name = f"{request.node.name}.py"
    window.edit(name, SOURCE)
    expect_status(window, READY)
    return name


def expect_status(window: Window, sentence: str) -> None:
    until(lambda: sentence in window.status(), f"{sentence} in the status bar")


def expect_none(window: Window, file: str, reason: str) -> None:
    """No suggestion after the next character, for that reason; the character is taken back."""
    window.type(".")
    until(lambda: reason in (window.last(file)["reason"] or ""), f"the reason {reason}")
    assert not window.ghost()
    window.press("Backspace")


def choose_from_menu(window: Window, label: str) -> None:
    window.click(".statusbar-item[id^=starfill] a")
    window.click(f"{ROW}:has(:text-is({label!r}))")
    window.press("Control+1")  # back to the editor


def test_settings_take_effect_without_a_restart(window: Window, file: str) -> None:
    servers = [record.pid for record in window.records()]
    window.set({"starfill.enabled": False})
    expect_status(window, "turned off")
    assert window.record().state() == "paused"
    expect_none(window, file, "turned off")
    window.set({})
    expect_status(window, READY)
    assert window.suggestion(after=".")
    assert [record.pid for record in window.records()] == servers


def test_off_and_on_for_this_file(window: Window, file: str) -> None:
    choose_from_menu(window, "Turn off suggestions for this file")
    expect_status(window, "turned off for this file")
    expect_none(window, file, "turned off for this file")
    window.run("Starfill: Why No Suggestion Here?")
    window.wait(f"{TOAST}:has-text('turned off for this file')")
    window.edit("another.py", SOURCE)
    assert window.suggestion(after=".")
    window.press("Backspace")
    window.open(file)
    choose_from_menu(window, "Turn on suggestions for this file")
    expect_status(window, READY)
    window.press("Control+End")
    assert window.suggestion(after=".")


def test_off_and_on_for_a_language(window: Window, file: str) -> None:
    choose_from_menu(window, "Turn off suggestions for python")
    expect_status(window, "turned off for the language")
    expect_none(window, file, "turned off for the language")
    window.edit("text.txt", SOURCE)
    expect_status(window, READY)
    assert window.suggestion(after=".")
    window.press("Backspace")
    window.open(file)
    choose_from_menu(window, "Turn on suggestions for python")
    expect_status(window, READY)


def test_the_menu_offers_models(window: Window) -> None:
    window.edit("load.py", SOURCE)
    expect_status(window, READY)
    window.click(".statusbar-item[id^=starfill] a")
    window.wait(f"{ROW}:has-text('Choose a model')")
    window.picture("menu")
    window.click(f"{ROW}:has-text('Choose a model')")
    window.wait(f"{ROW}:has-text('bundled'):has-text('in use')")
    window.wait(f"{ROW}:has-text('TheBloke/WizardCoder-15B-1.0-GPTQ'):has-text('8.9 GB')")
    window.press("Escape")


def test_a_server_that_was_killed_is_started_again(window: Window, file: str) -> None:
    assert window.suggestion(after=".")
    window.press("Backspace")
    killed = window.record()
    killed.kill()
    until(lambda: "starting" in window.status() or "Loading" in window.status(), "a new start")
    expect_status(window, READY)
    assert window.record().pid != killed.pid
    assert not killed.running()
    assert window.suggestion(after=".")
    window.accept()


def test_without_a_server_one_is_installed(code_server: CodeServer, browser: Browser) -> None:
    fresh = Window(code_server, browser, "fresh", {"starfill.server.path": ""}, {})
    fresh.wait(f"{TOAST}:has-text('Make a private environment')")
    expect_status(fresh, "not installed")
    assert not fresh.records()
    fresh.click(f"{TOAST} .monaco-button:has-text('Make It')")
    fresh.wait(f"{TOAST}:has-text('installing the server')")
    expect_status(fresh, READY)
    fresh.edit("first.py", SOURCE)
    assert fresh.suggestion(after=".")
    fresh.call("close")
