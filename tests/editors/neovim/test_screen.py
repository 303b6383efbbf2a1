"""Neovim on a real terminal screen: type, see the ghost text, accept it, save; choose from the menu of code actions."""

from __future__ import annotations

from pathlib import Path

from editors.neovim.driver import ENVIRONMENT, NO_PROVIDER, find, with_plugin
from editors.screen import saved, screen, until

SOURCE = "import json\n\n\ndef load(größe):\n"
TYPED = "with open(größe) as file: return json."
STATUS = "\nvim.o.laststatus, vim.o.statusline = 2, [[<%{v:lua.require('starfill').status()}>]]\n"


def test_on_the_screen(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text(SOURCE, encoding="utf-8")
    (tmp_path / "init.lua").write_text(NO_PROVIDER + with_plugin() + STATUS, encoding="utf-8")
    with screen(tmp_path, "env", f"VIRTUAL_ENV={ENVIRONMENT}", find(), "--clean", "-u", "init.lua", file.name) as it:

        def completed() -> str | None:
            (line,) = [line.rstrip() for line in it.text.splitlines() if TYPED in line] or [TYPED]
            return line if not line.endswith(TYPED) else None

        it.until("<Starfill>")
        it.type("Go" + TYPED)
        line = until(completed, "ghost text")
        it.keys("Tab", "Escape")
        it.until("<Starfill>")
        it.keys(":w", "Enter")
        written = until(lambda: (text := saved(file)) != SOURCE and text, "the file")
        assert written.startswith(f"{SOURCE}    {TYPED}") and written.splitlines()[4] == line

        it.keys("gra")
        menu = it.until("Starfill: explain")
        (number,) = [entry.split(":")[0].strip() for entry in menu.splitlines() if "Starfill: explain" in entry]
        it.keys(number, "Enter")
        assert "# explain" in it.until("`code.py:4-5`")
