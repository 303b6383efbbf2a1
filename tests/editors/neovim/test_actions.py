"""Code actions through Neovim's own menu, with the plugin and the bundled model."""

from __future__ import annotations

import ast
import calendar
from collections.abc import Iterator
from pathlib import Path

import pytest

from editors.neovim.driver import Neovim, with_plugin
from editors.screen import until

TEXT = Path(calendar.__file__).read_text(encoding="utf-8")
FUNCTIONS = {  # name: the lines of each, counted from 0, the end excluded
    node.name: (node.lineno - 1, node.end_lineno or 0)
    for node in ast.parse(TEXT).body
    if isinstance(node, ast.FunctionDef) and node.name in ("isleap", "leapdays", "weekday", "monthrange")
}
PAGES = """vim.iter(vim.api.nvim_list_wins()):map(vim.api.nvim_win_get_buf):filter(function(buf)
    return vim.startswith(vim.api.nvim_buf_get_name(buf), 'starfill://')
end):map(function(buf)
    return {buf, vim.api.nvim_buf_get_lines(buf, 0, -1, false)}
end):totable()"""


@pytest.fixture(scope="module")
def nvim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    with Neovim(tmp_path_factory.mktemp("nvim"), with_plugin(), TEXT).until_the_end() as nvim:
        nvim.wait_until_ready()
        yield nvim


def choose(nvim: Neovim, title: str, name: str) -> None:
    """From the menu, with the cursor in a function."""
    nvim.said()
    nvim.run(f"_G.asked, _G.choice = nil, 'Starfill: {title}'")
    nvim.run(f"vim.api.nvim_win_set_cursor(0, {{{FUNCTIONS[name][1]}, 4}})")
    nvim.type("gra")


def test_a_rewrite_is_confirmed_and_one_undo_takes_it_back(nvim: Neovim) -> None:
    before = TEXT.splitlines()
    edited = 0
    for name, (start, end) in FUNCTIONS.items():
        choose(nvim, "simplify", name)
        until(lambda: nvim.lua("_G.asked or _G.said[1]"), "an edit or a sentence")
        if not nvim.lua("_G.asked"):
            assert nvim.lines() == before
            continue
        edited += 1
        assert "simplify" in nvim.lua("_G.asked")
        after = until(lambda: (lines := nvim.lines()) != before and lines, "the edit")
        assert after[:start] == before[:start]
        assert after[len(after) - len(before[end:]) :] == before[end:]
        assert nvim.save() == "\n".join(after) + "\n"
        nvim.type("u")
        nvim.until_lines(before)
    assert edited


def test_an_explanation_grows_beside_the_code_and_is_read_only(nvim: Neovim) -> None:
    for name in ("leapdays", "weekday"):  # in the same window
        choose(nvim, "explain", name)
        where = f"`code.py:{FUNCTIONS[name][0] + 1}-{FUNCTIONS[name][1]}`"

        def lines(where: str = where) -> list[str] | None:
            pages = nvim.lua(PAGES)
            assert len(pages) <= 1
            shown = pages[0][1] if pages else []
            return shown if where in shown and len(" ".join(shown).split()) > 6 else None

        assert until(lines, "the explanation")[0] == "# explain"
        assert nvim.lua("vim.fn.expand('%:t')") == "code.py"
    ((page, _),) = nvim.lua(PAGES)
    assert nvim.lua(f"{{vim.bo[{page}].modifiable, vim.bo[{page}].filetype}}") == [False, "markdown"]
    until(lambda: nvim.lua("require('starfill').status()") == "Starfill", "the end of the explanation")
    assert nvim.lines() == TEXT.splitlines()
    nvim.run(f"vim.api.nvim_win_close(vim.fn.bufwinid({page}), false)")
    assert not nvim.lua(f"vim.api.nvim_buf_is_valid({page})")
