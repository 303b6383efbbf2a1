"""Ghost text of the bundled model in VS Code. What it suggests doesn't matter here."""

from __future__ import annotations

import json

import pytest

from editors.screen import until
from editors.vscode.window import Window

SOURCE = "import json\n\n\ndef load(path):\n    with open(path) as file: return json"

HEAD = """\
class Queue:
    \"\"\"First in, first out.\"\"\"

    def __init__(self):
        self.items = []

    def put(self, item):
        self.items"""
TAIL = """

    def get(self):
        return self.items.pop(0)

    def __len__(self):
        return len(self.items)
"""


@pytest.fixture
def file(window: Window, request: pytest.FixtureRequest) -> str:
    """Open, with the cursor at its end and a suggestion in sight."""
    name = f"{request.node.name}.py"
    window.edit(name, SOURCE)
    window.suggestion(after=".")
    return name


def test_tab_accepts_exactly_what_is_shown(window: Window, file: str) -> None:
    shown = window.suggestion()
    assert len(shown) > 1
    window.accept()
    window.save(file, SOURCE + "." + shown)


def test_in_the_middle_of_a_file(window: Window) -> None:
    window.edit("queue.py", HEAD + TAIL)
    window.press("Control+Home", *["ArrowDown"] * HEAD.count("\n"), "End")
    shown = window.suggestion(after=".")
    window.picture("completion")
    window.accept()
    window.save("queue.py", HEAD + "." + shown + TAIL)


def test_type_through_and_accept_the_rest(window: Window, file: str) -> None:
    reused = window.record().ask("starfill/statistics", {})["reused"]
    shown = window.suggestion()
    window.type(shown[0])
    until(lambda: window.ghost() == shown[1:], "the rest of the suggestion")
    until(lambda: window.last(file)["source"] == "reuse", "the rest without the model")
    assert window.record().ask("starfill/statistics", {})["reused"] > reused
    window.accept()
    window.save(file, SOURCE + "." + shown)


def test_typing_something_else_inserts_nothing(window: Window, file: str) -> None:
    other = "_" if window.suggestion()[0] != "_" else "x"
    window.type(other)
    window.save(file, SOURCE + "." + other)


def test_escape_dismisses_and_tab_is_tab_again(window: Window, file: str) -> None:
    accepted = window.accepted()
    window.press("Escape")
    until(lambda: not window.ghost(), "no ghost text")
    window.press("Home", "Tab")
    window.save(file, SOURCE.replace("    with", "        with") + ".")
    assert window.accepted() == accepted


def test_text_outside_ascii(window: Window) -> None:
    source = 'import json\n\n\ndef load(größe):\n    "𝒳🌟"; größe += "🌟"; return json'
    window.edit("grüße.py", source)
    shown = window.suggestion(after=".")
    window.accept()
    window.press("Control+Home", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "Home")
    window.press("ArrowRight", "ArrowRight")
    window.type("é")
    expected = (source + "." + shown).replace('"𝒳🌟"', '"𝒳é🌟"')
    window.save("grüße.py", expected)


def test_an_untitled_document(window: Window) -> None:
    window.press("Control+Alt+n")
    window.wait(".monaco-editor.focused")
    until(lambda: any(uri.startswith("untitled:") for uri in window.record().documents()), "the document at the server")
    text = "notes\nimport json\ndata = json."  # VS Code takes the first line as the name
    window.type(text[:-1])
    shown = window.suggestion(after=".")
    window.accept()
    window.press("Control+s")
    value = "document.querySelector('.quick-input-widget input')?.value ?? ''"
    until(lambda: window.call("evaluate", value).endswith("/notes"), "the question for a path")
    window.press("Enter")
    window.wait(".tab.active[data-resource-name=notes]")
    until(lambda: window.read("notes") == text + shown, f"{text + shown!r} in it")


def test_the_last_cell_of_a_notebook_knows_the_earlier_ones(window: Window) -> None:
    first = "import json\n\ndef load(path):\n    return json.loads(path)"
    code = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    python = {"language_info": {"name": "python"}}
    cells = [code | {"source": [source]} for source in (first, "data = json")]
    window.write("book.ipynb", json.dumps({"cells": cells, "metadata": python, "nbformat": 4, "nbformat_minor": 5}))
    window.open("book.ipynb")
    window.click(".code-cell-row .view-lines >> nth=1")
    window.press("Control+End")
    shown = window.suggestion(after=".")
    (opened,) = window.record().sent("notebookDocument/didOpen")
    uris = [document["uri"] for document in opened["cellTextDocuments"]]
    last = window.record().ask("starfill/lastCompletion", {"uri": uris[1]})
    assert last["promptTokens"] > len("data = json.")  # it has fewer tokens of its own
    window.accept()

    def saved() -> list[str]:
        window.press("Control+s")
        text = window.read("book.ipynb") or '{"cells": []}'  # empty in the moment in which VS Code writes it
        return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]

    expected = [first, "data = json." + shown]
    until(lambda: saved() == expected, f"{expected} in the notebook's file")
