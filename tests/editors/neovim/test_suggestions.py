"""Suggestions in a real Neovim with the plugin and the bundled model. What it suggests doesn't matter here.

Three times: Neovim 0.12 showing them itself, the plugin drawing them there, and in Neovim 0.10, which can't.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from editors.neovim.driver import Neovim, with_plugin
from editors.screen import until

SOURCE = "import json\n\n\ndef load(größe):\n    with open(größe) as file: return json"
WAYS = {"builtin": ("nvim", ""), "own": ("nvim", "inline = 'own'"), "0.10": ("nvim-0.10", "")}


@pytest.fixture(scope="module", params=WAYS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    program, options = WAYS[request.param]
    with Neovim(
        tmp_path_factory.mktemp("nvim"), with_plugin(options), SOURCE + "\n", program=program
    ).until_the_end() as nvim:
        nvim.wait_until_ready()
        yield nvim


@pytest.fixture
def nvim(running: Neovim) -> Neovim:
    """In insert mode at the end of the file, with a suggestion in sight."""
    running.fill(SOURCE)
    running.type(".")
    _, _, text = running.shown()
    assert len(text) > 1 and text[0] not in "\n<"
    return running


def test_tab_accepts(nvim: Neovim) -> None:
    row, column, text = nvim.shown()
    before, accepted, want = nvim.lines(), nvim.statistics()["accepted"], nvim.with_text(row, column, text)
    assert (row, column) == (4, len((SOURCE + ".").split("\n")[-1].encode()))
    nvim.type("<Tab>")
    nvim.until_lines(want)
    end = len(text.split("\n")[-1].encode()) + (0 if "\n" in text else column)
    assert nvim.lua("{vim.api.nvim_win_get_cursor(0), vim.fn.mode()}") == [[row + 1 + text.count("\n"), end], "i"]
    until(lambda: nvim.statistics()["accepted"] == accepted + 1, "the server to be told")
    assert nvim.save() == "\n".join(want) + "\n"
    nvim.type("u")
    nvim.until_lines(before)  # of what was typed before, nothing is undone


def test_typing_through_a_suggestion(nvim: Neovim) -> None:
    row, column, text = nvim.shown()
    want = nvim.with_text(row, column, text)
    nvim.type(text[0])
    until(lambda: nvim.last()["source"] == "reuse", "the rest without the model")
    until(lambda: nvim.ghost() == (row, column + len(text[0].encode()), text[1:]), "the rest")
    nvim.type("<Tab>")
    nvim.until_lines(want)


def test_tab_right_after_a_character_of_the_suggestion_accepts_the_rest(nvim: Neovim) -> None:
    row, column, text = nvim.shown()
    want = nvim.with_text(row, column, text)
    nvim.type(text[0] + "<Tab>")
    nvim.until_lines(want)


def test_tab_right_after_another_character_is_a_tab(nvim: Neovim) -> None:
    row, column, _ = nvim.shown()
    nvim.run("vim.bo.expandtab = false")
    want = nvim.with_text(row, column, "@\t;")
    nvim.type("@<Tab>;")
    nvim.until_lines(want)


def test_tab_does_what_it_did_where_nothing_is_shown(running: Neovim) -> None:
    running.run("vim.bo.expandtab = false")
    running.fill("")
    running.run("vim.lsp.get_clients({name = 'starfill'})[1].name = 'elsewhere'")  # so that nothing is asked
    mappings = {
        "": "\t",
        "vim.keymap.set('i', '<Tab>', 'tabbed')": "tabbed",
        "vim.keymap.set('i', '<Tab>', function() return vim.fn.col('.') .. '<C-v><Tab>' end, {expr = true})": "2\t",
        "vim.keymap.set('i', '<Tab>', function() vim.api.nvim_put({'put'}, 'c', false, true) end)": "put",
        "vim.cmd([[inoremap <expr> <Tab> repeat('=', 3)]])": "===",
        "vim.cmd([[inoremap <expr> <Tab> 'a<Left>b<Right>']])": "ba",
        "vim.cmd([[imap <Tab> <Tab>]])": "\t",
    }
    try:
        for mapping, does in mappings.items():
            running.run(f"pcall(vim.keymap.del, 'i', '<Tab>') {mapping}")
            running.type("<C-u>x<Tab>y")
            running.until_lines([f"x{does}y"])
    finally:
        running.run(
            "pcall(vim.keymap.del, 'i', '<Tab>')"
            " for _, client in ipairs(vim.lsp.get_clients()) do client.name = 'starfill' end"
        )


def test_a_word_and_a_line_of_a_suggestion(nvim: Neovim) -> None:
    row, column, text = nvim.shown()
    want, whole = nvim.lines(), nvim.with_text(row, column, text)
    nvim.type("<M-w>")
    after = until(lambda: (lines := nvim.lines()) != want and lines, "a word")
    word = after[row].encode()[column:].decode()
    assert word and text.startswith(word) and after == nvim.with_text(row, column + len(word.encode()), "")
    if word != text:
        assert nvim.ghost() == (row, column + len(word.encode()), text[len(word) :])  # at once
        nvim.type("<M-l>")
        nvim.until_lines(whole[: row + 1])


def test_words_pressed_at_once_come_to_the_whole(nvim: Neovim) -> None:
    row, column, text = nvim.shown()
    want = nvim.with_text(row, column, text)
    nvim.run("vim.g.words = 0 vim.keymap.set('i', '<M-w>', function() vim.g.words = vim.g.words + 1 end)")
    nvim.type("<M-w>" * (len(text) + 1))
    nvim.until_lines(want)
    until(lambda: nvim.lua("vim.g.words"), "the key to fall through")
    nvim.run("vim.keymap.del('i', '<M-w>')")


def test_what_was_typed_with_a_tab_can_be_repeated(running: Neovim) -> None:
    running.fill("a\nb")
    running.run("vim.bo.expandtab = false")
    running.type("<Esc>ggAx<Tab>y<Esc>j.")
    running.until_lines(["ax\ty", "bx\ty"])
    running.type("qqA<Tab>z<Esc>qk@q")
    running.until_lines(["ax\ty\tz", "bx\ty\tz"])


def test_dismissing(nvim: Neovim) -> None:
    before = nvim.lines()
    nvim.type("<M-e>")
    until(lambda: not nvim.ghost(), "nothing to be shown")
    assert nvim.lines() == before and nvim.lua("vim.fn.mode()") == "i"


def test_leaving_insert_mode_hides_it(nvim: Neovim) -> None:
    before = nvim.lines()
    nvim.type("<Esc>")
    until(lambda: not nvim.ghost(), "nothing to be shown")
    assert nvim.lines() == before


def test_the_popup_menu_keeps_its_keys(nvim: Neovim) -> None:
    row, column, _ = nvim.shown()
    nvim.run("vim.cmd([[inoremap <expr> <Tab> pumvisible() ? '<C-n>' : '<Tab>']])")
    nvim.type("<C-x><C-n>")
    entries = until(lambda: nvim.lua("vim.fn.complete_info({'pum_visible', 'items'})"), "the popup menu")["items"]
    want = nvim.with_text(row, column, "")
    nvim.type("<Tab>")
    until(lambda: nvim.lua("vim.fn.complete_info({'selected'}).selected") == 1, "the second entry")
    nvim.type("<C-y>")
    assert nvim.lines()[row] == want[row].split("json.")[0] + "json." + entries[1]["word"]
    nvim.run("vim.keymap.del('i', '<Tab>')")


def test_candidates(nvim: Neovim) -> None:
    def pressed(key: str) -> str | None:
        """What is shown then, if it is one of several."""
        nvim.type(key)
        text = nvim.shown()[2]
        return text if re.search(r" \(\d/\d\)$", text) else None

    nvim.run("require('starfill').settings({candidates = 4, temperature = 1})")
    try:
        first = until(lambda: pressed("<M-n>"), "candidates")
        assert first != pressed("<M-n>")
        assert first == pressed("<M-p>")
        row, column, text = nvim.shown()
        want = nvim.with_text(row, column, text.rsplit(" ", 1)[0])
        nvim.type("<Tab>")
        nvim.until_lines(want)
    finally:
        nvim.run("require('starfill').settings({candidates = 1, temperature = 0})")


def test_asking_for_a_suggestion(nvim: Neovim) -> None:
    nvim.type("<M-e>")
    until(lambda: not nvim.ghost(), "nothing to be shown")
    nvim.run("require('starfill').suggest()")
    assert nvim.shown()[:2] == (4, len((SOURCE + ".").split("\n")[-1].encode()))


def test_lines_that_end_as_on_windows(nvim: Neovim) -> None:
    nvim.type("<Esc>")
    nvim.run("vim.bo.fileformat = 'dos'")
    nvim.type("A")
    row, column, text = nvim.shown()
    want = nvim.with_text(row, column, text)
    nvim.type("<Tab>")
    nvim.until_lines(want)
    nvim.type("<Esc>")
    nvim.run("vim.bo.fileformat = 'unix'")
    assert "\r" not in nvim.save()


def test_settings_hold_without_a_restart(nvim: Neovim) -> None:
    nvim.run("require('starfill').settings({enabled = false})")
    until(lambda: nvim.lua("require('starfill').status()") == "Starfill: paused", "the pause")
    nvim.type("l")
    until(lambda: "turned off" in nvim.why(), "the reason")
    until(lambda: not nvim.ghost(), "nothing to be shown")
    nvim.run("require('starfill').settings({enabled = true})")
    nvim.wait_until_ready()
    nvim.type("<BS>")
    nvim.shown()


def test_a_server_that_was_killed_is_started_again(nvim: Neovim) -> None:
    program = "vim.iter(vim.api.nvim_get_proc_children(vim.fn.getpid())):totable()"
    (server,) = nvim.lua(program)
    os.kill(server, signal.SIGKILL)
    until(lambda: nvim.lua("require('starfill').status()") == "Starfill: stopped", "the state")
    until(lambda: not nvim.ghost(), "nothing to be shown")
    nvim.type("<Esc>:Starfill restart<CR>")
    nvim.wait_until_ready()
    assert nvim.lua(program) != [server]
    nvim.type("A")
    row, column, text = nvim.shown()
    want = nvim.with_text(row, column, text)
    nvim.type("<Tab>")
    nvim.until_lines(want)


def test_what_is_saved_is_what_was_typed(running: Neovim, tmp_path: Path) -> None:
    running.fill("")
    typed = "größe = '日本' + \"𝔘\"  # 🎈"
    running.type(typed)
    running.until_lines([typed])
    assert running.save() == typed + "\n"
