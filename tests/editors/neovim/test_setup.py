"""Ways to set Neovim up: without a server, without `setup`, without the plugin, with projects, late."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from editors.neovim.driver import PLUGIN, ROOT, Neovim, readme_blocks, with_plugin, without_plugin
from editors.screen import STARFILL, until

SOURCE = "import json\n\n\ndef load(name):\n    with open(name) as file: return json"
CLIENTS = "vim.tbl_map(function(it) return it.name end, vim.lsp.get_clients())"
NOTE_STATUS = "vim.lsp.handlers['starfill/status'] = function(_, status) vim.g.state = status.state end\n"


def started(
    folder: Path, init: str, text: str = SOURCE + "\n", program: str = "nvim"
) -> AbstractContextManager[Neovim]:
    return Neovim(folder, init, text, program=program).until_the_end()


@pytest.mark.parametrize("program", ["nvim", "nvim-0.10"])
def test_without_a_server(tmp_path: Path, program: str) -> None:
    with started(tmp_path, with_plugin("cmd = '/nowhere/starfill'"), program=program) as nvim:
        said = nvim.until_said("/nowhere/starfill")
        assert said.startswith('Starfill: `cmd` of setup{} names "/nowhere/starfill", which is no program here; ')
        assert nvim.lua(CLIENTS) == []
        nvim.type("Gox<Tab>y<Esc>:Starfill restart<CR>:Starfill why<CR>")
        nvim.until_said("/nowhere/starfill")
        assert nvim.lines()[-1].replace(" ", "") in ("xy", "x\ty")
        nvim.run(f"require('starfill').setup{{cmd = '{STARFILL}', filetypes = {{'python'}}}}")
        until(lambda: nvim.lua(CLIENTS) == ["starfill"], "the server that is named now")


def test_options_that_are_not_there(tmp_path: Path) -> None:
    with started(tmp_path, f"vim.opt.rtp:append('{PLUGIN}')\n") as nvim:
        for options, sentence in {
            "{colour = 1}": 'Starfill: setup{} knows no "colour"; it knows cmd, debounce, filetypes, inline',
            "{debounce = 'x'}": 'Starfill: "debounce" of setup{} must be a number, not a string.',
            "{inline = 'x'}": 'Starfill: "inline" of setup{} must be "auto", "builtin" or "own", not "x".',
            "{keymaps = {accept_page = 'x'}}": 'Starfill: "keymaps" of setup{} knows no "accept_page"; it knows',
        }.items():
            assert nvim.run(f"return select(2, pcall(require('starfill').setup, {options}))").startswith(sentence)


def test_enabled_without_setup_and_one_server_for_all_projects(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / ".git").mkdir(parents=True)
        (tmp_path / name / "code.py").write_text("a = 1\n")
    with started(tmp_path, f"vim.opt.rtp:append('{PLUGIN}')\nvim.lsp.enable('starfill')\n") as nvim:
        nvim.wait_until_ready()
        nvim.fill(SOURCE)
        nvim.type(".")
        row, column, text = nvim.shown()
        want = nvim.with_text(row, column, text)
        nvim.type("<Tab>")
        nvim.until_lines(want)
        nvim.type("<Esc>:edit! one/code.py<CR>:edit! two/code.py<CR>")
        folders = "vim.tbl_map(function(it) return it.name end, vim.lsp.get_clients()[1].workspace_folders or {})"
        until(lambda: nvim.lua(folders)[-2:] == [str(tmp_path / "one"), str(tmp_path / "two")], "the projects")
        assert nvim.lua(CLIENTS) == ["starfill"]


def test_keys_of_ones_own_and_none_of_ours(tmp_path: Path) -> None:
    mapping = "vim.keymap.set('i', '<C-f>', function() require('starfill').accept() end)"
    with started(tmp_path, with_plugin("keymaps = false") + mapping) as nvim:
        nvim.wait_until_ready()
        nvim.fill(SOURCE)
        assert nvim.lua("vim.api.nvim_buf_get_keymap(0, 'i')") in ([], {})
        nvim.type(".")
        row, column, text = nvim.shown()
        want = nvim.with_text(row, column, text)
        nvim.type("<C-f>")
        nvim.until_lines(want)


def test_without_the_plugin(tmp_path: Path) -> None:
    with started(tmp_path, NOTE_STATUS + without_plugin()) as nvim:
        until(lambda: nvim.lua("vim.g.state") == "ready", "the model")
        nvim.fill(SOURCE)
        nvim.type(".")
        row, column, text = nvim.shown()
        want, rest = nvim.with_text(row, column, text[0]), (row, column + len(text[0].encode()), text[1:])
        nvim.type(text[0] + "<C-f>")  # what is older than the text is not accepted
        until(lambda: nvim.last()["source"] == "reuse" and nvim.ghost() == rest, "a new suggestion")
        assert nvim.lines() == want
        want = nvim.with_text(*rest)
        nvim.type("<C-f>")
        nvim.until_lines(want)


def test_the_readme_and_the_demo_say_the_same() -> None:
    demo = (ROOT / "clients/demo.py").read_text(encoding="utf-8").replace("{{", "{").replace("}}", "}")
    (block,) = re.findall(r"```lua\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block in readme_blocks()
    assert all(f"    {line}\n" in demo for line in block.splitlines() if "/path/to/" not in line)
