"""Code actions in a real Neovim, with the bundled model and nothing but what Neovim brings itself."""

from __future__ import annotations

import ast
import calendar
from collections.abc import Iterator
from pathlib import Path

import pytest

from editors.neovim import LINES, Neovim, find, until

TEXT = Path(calendar.__file__).read_text(encoding="utf-8")
FUNCTIONS = {  # name: the lines of each, counted from 0, the end excluded
    node.name: (node.lineno - 1, node.end_lineno or 0)
    for node in ast.parse(TEXT).body
    if isinstance(node, ast.FunctionDef) and node.name in ("isleap", "leapdays", "weekday", "monthrange")
}
CHOOSE = "vim.lsp.buf.code_action({apply = true, filter = function(it) return it.title == 'Starfill: %s' end})"
WINDOWS = """vim.tbl_map(
    function(it) return vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(it)) end, vim.api.nvim_list_wins())"""
# Neovim asks by itself before it applies an edit; nobody is there to answer.
CONFIRM = "(function() vim.fn.confirm = function(words) vim.g.asked = words return 1 end return 1 end)()"
# Messages of a running headless Neovim are read from here.
NOTE = """(function()
    vim.lsp.handlers['window/showMessage'] = function(_, message) vim.g.said = message.message end
    return 1
end)()"""


@pytest.fixture(scope="module")
def nvim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    nvim = Neovim(find(), tmp_path_factory.mktemp("nvim"), TEXT)
    try:
        until(lambda: nvim.lua("vim.g.starfill") == "ready", "the model")
        nvim.lua(CONFIRM)
        nvim.lua(NOTE)
        yield nvim
        assert nvim.quit() == 0
    finally:
        nvim.kill()


def choose(nvim: Neovim, title: str, name: str) -> None:
    """With the cursor in a function."""
    nvim.lua(f"vim.api.nvim_win_set_cursor(0, {{{FUNCTIONS[name][1]}, 4}})")
    nvim.lua("(function() vim.g.asked, vim.g.said = nil, nil return 1 end)()")
    nvim.lua(CHOOSE % title)


def test_a_rewrite_is_confirmed_and_one_undo_takes_it_back(nvim: Neovim) -> None:
    before = TEXT.splitlines()
    edited = 0
    for name, (start, end) in FUNCTIONS.items():
        choose(nvim, "simplify", name)
        until(lambda: nvim.lua("vim.g.asked") or nvim.lua("vim.g.said"), "an edit or a sentence", 120)
        if nvim.lua("vim.g.said"):
            assert nvim.lua(LINES) == before
            continue
        edited += 1
        assert "simplify" in nvim.lua("vim.g.asked")
        after = until(lambda: (lines := nvim.lua(LINES)) != before and lines, "the edit", 10)
        assert after[:start] == before[:start]
        assert after[len(after) - len(before[end:]) :] == before[end:]
        nvim.type("u")
        until(lambda: nvim.lua(LINES) == before, "the text before", 10)
    assert edited


def test_an_explanation_is_shown_beside_the_code(nvim: Neovim) -> None:
    choose(nvim, "explain", "leapdays")
    shown = until(lambda: [name for name in nvim.lua(WINDOWS) if name.endswith(".md")], "the explanation", 120)
    assert nvim.lua("vim.fn.expand('%:t')") == "code.py"
    text = Path(shown[0]).read_text(encoding="utf-8")
    assert text.startswith("# explain\n\n`code.py:") and len(text.split()) > 4
    assert nvim.lua(LINES) == TEXT.splitlines()
