"""A real Helix on a terminal screen, with the bundled model and the lines of clients/README.md."""

from __future__ import annotations

import re
from pathlib import Path

from editors.clients import PATH, block
from editors.found import needed
from editors.screen import Server, edited, saved, screen, until

SOURCE = """\
def area(width, height):
    result = width * height
    return result


def load(größe):
    with open(größe) as file: return json"""
WISH = "Starfill: add type annotations"


def test_completion_and_code_action(tmp_path: Path) -> None:
    helix, server, file = needed("hx"), Server(tmp_path), tmp_path / "code.py"
    file.write_text(SOURCE + "\n", encoding="utf-8")
    settings = tmp_path / ".config/helix"
    settings.mkdir(parents=True)
    (settings / "languages.toml").write_text(block("toml").replace(PATH, str(server.command)), encoding="utf-8")
    with screen(tmp_path, helix, "code.py") as it:
        until(lambda: server.ready, "the model")
        it.type("geA.")
        (item,) = until(lambda: server.completions, "a completion")
        it.until(item["label"])
        it.keys("Tab")
        it.until(f"return json.{item['textEdit']['newText']}")
        it.keys("Enter", "Escape")
        it.until(" NOR ")  # before that, Escape and a key behind it could be taken for one
        it.keys(":w", "Enter")
        completed = f"{SOURCE}.{item['textEdit']['newText']}\n"
        until(lambda: saved(file) == completed, f"this file: {completed}")

        it.type("gg a")
        titles = re.findall(r"Starfill: [a-z ]+[a-z]", it.until(WISH))
        it.keys(*["C-n"] * titles.index(WISH), "Enter")
        (edit,) = until(lambda: server.edits, "the edit")
        it.until(edit["newText"].splitlines()[0])
        it.keys(":wq", "Enter")
        rewritten = edited(completed, edit)
        until(lambda: saved(file) == rewritten, f"this file: {rewritten}")
