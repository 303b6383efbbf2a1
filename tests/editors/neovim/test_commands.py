"""`:Starfill`, the statusline and `:checkhealth` in a real Neovim, with the bundled model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from editors.neovim.driver import PLUGIN, Neovim, with_plugin
from editors.screen import STARFILL, until

SOURCE = "def add(first, second):\n    return first + second\n\n\nprint(add"
SUGGESTED = "import json\n\n\ndef load(name):\n    with open(name) as file: return json"


@pytest.fixture(scope="module")
def nvim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    with Neovim(tmp_path_factory.mktemp("nvim"), with_plugin(), SOURCE + "\n").until_the_end() as nvim:
        nvim.wait_until_ready()
        yield nvim


def command(nvim: Neovim, words: str) -> None:
    nvim.said()
    nvim.type(rf"<C-\><C-n>:Starfill {words}<CR>")


def completed(nvim: Neovim, line: str) -> list[str]:
    return list(nvim.lua(f"vim.fn.getcompletion('{line}', 'cmdline')"))


def test_status(nvim: Neovim) -> None:
    assert nvim.lua("require('starfill').status()") == "Starfill"
    assert nvim.lua("vim.api.nvim_eval_statusline([[%{v:lua.require('starfill').status()}]], {}).str") == "Starfill"
    command(nvim, "status")
    assert nvim.until_said("ready") == "Starfill: ready, bundled, cpu"


def test_turning_suggestions_off_and_on(nvim: Neovim) -> None:
    nvim.fill(SUGGESTED)
    nvim.type(".")
    nvim.shown()
    command(nvim, "disable file")
    nvim.until_said("suggestions are off in this file")
    nvim.type("Al")
    until(lambda: "turned off for this file" in nvim.why(), "the reason")
    until(lambda: not nvim.ghost(), "nothing to be shown")
    command(nvim, "why")
    nvim.until_said("turned off for this file")
    command(nvim, "toggle file")
    nvim.until_said("suggestions are on in this file")
    command(nvim, "disable language")
    nvim.until_said("suggestions are off for this language")
    command(nvim, "enable file")
    assert "python" in nvim.until_said("suggestions are on in this file")  # and yet there are none, and why
    command(nvim, "enable language")
    nvim.until_said("suggestions are on for this language")
    command(nvim, "toggle")
    nvim.until_said("suggestions are off everywhere")
    until(lambda: nvim.lua("require('starfill').status()") == "Starfill: paused", "the pause")
    command(nvim, "enable")
    nvim.until_said("suggestions are on everywhere")
    nvim.type("A<BS>")
    nvim.shown()
    command(nvim, "why")
    nvim.until_said("the last suggestion came from")


def test_what_can_be_written_behind_it(nvim: Neovim) -> None:
    assert completed(nvim, "Starfill ") == [
        *("ask", "disable", "doctor", "enable", "log", "model", "restart", "status", "toggle", "why")
    ]
    assert completed(nvim, "Starfill dis") == ["disable"]
    assert completed(nvim, "Starfill toggle ") == ["all", "file", "language"]
    assert "bundled" in completed(nvim, "Starfill model ")
    command(nvim, "enlighten")
    nvim.until_said('knows no "enlighten"; it knows ask, disable')
    command(nvim, "disable everything")
    nvim.until_said('"everything" is none of all, language, file')


def test_choosing_a_model(nvim: Neovim, tmp_path: Path) -> None:
    nvim.run(
        "vim.ui.select = function(items, how, done) _G.offered = vim.tbl_map(how.format_item, items) done(items[1]) end"
    )
    command(nvim, "model")
    offered = until(lambda: nvim.lua("_G.offered"), "the models")
    assert offered[0].startswith("* bundled (comes with Starfill") and any(
        "to be downloaded" in each for each in offered
    )
    command(nvim, f"model {tmp_path}")
    until(lambda: nvim.lua("require('starfill').status()") == "Starfill: error", "the error")
    command(nvim, "status")
    nvim.until_said(str(tmp_path))
    command(nvim, "model bundled")
    nvim.wait_until_ready()


@pytest.mark.parametrize("words", ["1,2Starfill ask Rename first to left.", "1Starfill ask"])
def test_asking_about_lines(nvim: Neovim, words: str) -> None:
    nvim.fill(SOURCE)
    nvim.said()
    nvim.run("_G.asked = nil vim.ui.input = function(_, done) done('Add a comment.') end")
    nvim.type(rf"<C-\><C-n>:{words}<CR>")
    until(lambda: nvim.lua("_G.asked or _G.said[1]"), "an edit or a sentence")
    assert nvim.lines()[-3:] == SOURCE.split("\n")[-3:]


def test_log(nvim: Neovim) -> None:
    command(nvim, "log")
    until(lambda: nvim.lua("vim.api.nvim_buf_get_name(0)").endswith("lsp.log"), "the log")
    nvim.type(":bwipeout!<CR>")
    until(lambda: nvim.lua("vim.api.nvim_buf_get_name(0)").endswith("code.py"), "the file")


def test_doctor(nvim: Neovim) -> None:
    command(nvim, "doctor")
    until(lambda: nvim.lua("vim.bo.buftype") == "terminal", "a terminal")
    assert nvim.lua("vim.api.nvim_buf_get_name(0)").endswith(f"{STARFILL}' 'doctor'")
    until(lambda: any("Python" in line for line in nvim.lines()), "the doctor's first words")
    nvim.type(r"<C-\><C-n>:bwipeout!<CR>")
    until(lambda: nvim.lua("vim.api.nvim_buf_get_name(0)").endswith("code.py"), "the file")


def test_health(nvim: Neovim) -> None:
    nvim.type(r"<C-\><C-n>:checkhealth starfill<CR>")
    until(lambda: nvim.lua("vim.bo.filetype") == "checkhealth" and len(nvim.lines()) > 8, "the report")
    report = "\n".join(nvim.lines())
    assert "OK Neovim 0." in report and f"OK {STARFILL} is starfill" in report
    assert "OK The server runs, for 1 buffer." in report and 'OK Its state is "ready"; model: bundled' in report
    assert "ERROR" not in report and "WARNING" not in report
    nvim.type(":bwipeout!<CR>")
    until(lambda: nvim.lua("vim.api.nvim_buf_get_name(0)").endswith("code.py"), "the file")


def test_help(nvim: Neovim, tmp_path: Path) -> None:
    help_file = PLUGIN / "doc/starfill.txt"
    (tmp_path / "doc").mkdir()
    (tmp_path / "doc/starfill.txt").write_bytes(help_file.read_bytes())
    nvim.run(f"vim.cmd.helptags('{tmp_path}/doc')")  # complains about tags that are there twice
    tags = (tmp_path / "doc/tags").read_text(encoding="utf-8").split()[0::3]
    referred = set(re.findall(r"\|(starfill[^|\s]*|:Starfill[^|\s]*)\|", help_file.read_text(encoding="utf-8")))
    assert referred and referred <= set(tags)
    options = nvim.lua(
        "{vim.tbl_keys(require('starfill.options').current.keymaps), {'cmd', 'filetypes', 'settings',"
        " 'inline', 'debounce', 'keymaps'}}"
    )
    assert all(f"`{name}`" in help_file.read_text(encoding="utf-8") for names in options for name in names)
