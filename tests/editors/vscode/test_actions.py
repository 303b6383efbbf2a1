"""Asking about code in VS Code, with the bundled model."""

from __future__ import annotations

import re

from editors.screen import until
from editors.vscode.window import Window

ADD = "def add(first, second):\n    return first + second\n"
LINES = """\
def read_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def without_empty_ones(lines):
    return [line for line in lines if line.strip()]
"""
PREVIEW = ".part.panel"
TEXT = """[...document.querySelectorAll('.monaco-editor .view-lines')]
    .map((lines) => lines.innerText.replaceAll('\\u00a0', ' ')).join()"""


def test_an_explanation_is_shown_beside_the_code(window: Window) -> None:
    window.edit("lines.py", LINES)
    window.press("Control+Home", "ArrowDown")
    window.choose_action("Starfill: explain")
    window.wait(".tab:has-text('explain lines.py')")
    until(lambda: re.search(r"# explain\s+`lines.py:1-3`\s+\w+", window.call("evaluate", TEXT)), "its text")
    window.ready()
    assert window.text() == LINES  # the cursor has stayed where it was
    window.picture("explain")
    window.save("lines.py", LINES)


def test_a_rewrite_is_confirmed_and_one_undo_takes_it_back(window: Window) -> None:
    window.edit("add.py", ADD)
    window.press("ArrowUp")
    window.choose_action("Starfill: add docstring")
    window.click(f"{PREVIEW} .monaco-list-row:has-text('add.py') .monaco-checkbox")
    window.click(f"{PREVIEW} .monaco-button:has-text('Apply')")
    head, docstring, rest = window.changed("add.py", ADD).split("\n", 2)
    assert [head, rest] == ADD.split("\n", 1)
    assert re.fullmatch(r' {4}""".*"""', docstring)
    window.press("Control+1", "Control+z")
    window.save("add.py", ADD)


def test_a_discarded_rewrite_changes_nothing(window: Window) -> None:
    window.edit("discarded.py", ADD)
    window.press("ArrowUp")
    window.choose_action("Starfill: add docstring")
    window.click(f"{PREVIEW} .monaco-button:has-text('Discard')")
    window.ready()
    window.press("Control+1")
    window.save("discarded.py", ADD)


def test_free_text_about_the_selection(window: Window) -> None:
    window.edit("asked.py", ADD)
    window.press("Control+a")
    window.run("Starfill: Ask About the Selection")
    window.wait(".quick-input-widget input[placeholder='Use pathlib']:focus")
    window.type("Add a docstring.")
    window.press("Enter")
    window.click(f"{PREVIEW} .monaco-list-row:has-text('asked.py') .monaco-checkbox")
    window.click(f"{PREVIEW} .monaco-button:has-text('Apply')")
    window.changed("asked.py", ADD)
    commands = window.record().sent("workspace/executeCommand")
    instruct = [command["arguments"][0] for command in commands if command["command"] == "starfill.instruct"][-1]
    assert instruct["instruction"] == "Add a docstring."
    assert instruct["range"] == {"start": {"line": 0, "character": 0}, "end": {"line": 2, "character": 0}}
