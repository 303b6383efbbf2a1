"""A real Vim with the plugin ALE on a terminal screen, with the bundled model and the lines of clients/README.md."""

from __future__ import annotations

import re
from pathlib import Path

from editors.clients import PATH, block
from editors.found import FOLDER, missing, needed
from editors.screen import Server, edited, saved, screen, until

SOURCE = """\
def area(width, height):
    result = width * height
    return result


def load(path):
    with open(path) as file: return json"""
WISH = "Starfill: add type annotations"
SETTINGS = """\
set nocompatible noswapfile completeopt=menuone,noselect packpath^={pack}
filetype plugin indent on
"""


def test_completion_and_code_action(tmp_path: Path) -> None:
    vim, ale = needed("vim"), FOLDER / "vim-ale/usr/share/vim-ale"
    server, file, pack = Server(tmp_path), tmp_path / "code.py", tmp_path / "vim"
    if not ale.exists():
        missing("Vim's plugin ALE")
    (pack / "pack/ale/start").mkdir(parents=True)
    (pack / "pack/ale/start/ale").symlink_to(ale)
    (tmp_path / ".vimrc").write_text(
        SETTINGS.format(pack=pack) + block("vim", "ale#").replace(PATH, str(server.command)), encoding="utf-8"
    )
    file.write_text(SOURCE + "\n", encoding="utf-8")
    with screen(tmp_path, vim, "code.py") as it:
        until(lambda: server.ready, "the model")
        it.type("GA.")
        (item,) = until(lambda: server.completions, "a completion")
        word = item["textEdit"]["newText"].split("(")[0]  # ALE takes no more of it
        it.until(f"{word} v Starfill")
        it.keys("C-n")
        it.until(f"return json.{word}")
        it.keys("C-y", "Escape")
        until(lambda: "-- INSERT --" not in it.text, "the end of insert mode")
        it.keys(":w", "Enter")
        completed = f"{SOURCE}.{word}\n"
        until(lambda: saved(file) == completed, f"this file: {completed}")

        it.type("ggVjj:ALECodeAction")
        it.keys("Enter")
        menu = it.until("Type number")
        number = re.search(rf"(\d+)\) {WISH}", menu)
        assert number is not None, menu
        it.keys(number[1], "Enter")
        (edit,) = until(lambda: server.edits, "the edit")
        it.until(edit["newText"].splitlines()[0])
        it.keys(":wq", "Enter")
        rewritten = edited(completed, edit)
        until(lambda: saved(file) == rewritten, f"this file: {rewritten}")
