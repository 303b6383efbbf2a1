"""Inline completion in a real Neovim, with the bundled model. What it suggests doesn't matter here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from editors.neovim import LAST, LINES, PATH, ROOT, Neovim, find, readme_lines, until

SOURCE = "import json\n\n\ndef load(größe):\n    with open(größe) as file: return json"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    nvim = Neovim(find(), tmp_path_factory.mktemp("nvim"), SOURCE + "\n")
    try:
        until(lambda: nvim.lua("vim.g.starfill") == "ready", "the model")
        yield nvim
        assert nvim.quit() == 0
    finally:
        nvim.kill()


@pytest.fixture
def nvim(running: Neovim) -> Neovim:
    """In insert mode at the end of the file, with a suggestion in sight."""
    running.type(r"<C-\><C-n>")
    running.lua(f"vim.api.nvim_buf_set_lines(0, 0, -1, false, vim.split([[{SOURCE}]], '\\n'))")
    running.type("GA.")
    _, _, text = until(running.ghost, "ghost text", 20)
    assert len(text) > 1 and text[0] not in "\n<"
    return running


def test_accept(nvim: Neovim) -> None:
    row, column, text = nvim.ghost() or pytest.fail("the ghost text is gone")
    assert (row, column) == (4, len((SOURCE + ".").split("\n")[-1].encode()))
    want = nvim.accepted(row, column, text)
    nvim.type("<C-f>")
    until(lambda: nvim.lua(LINES) == want, f"the accepted text: {want}", 10)
    end = len(text.split("\n")[-1].encode()) + (0 if "\n" in text else column)
    assert nvim.lua("{vim.api.nvim_win_get_cursor(0), vim.fn.mode()}") == [[row + 1 + text.count("\n"), end], "i"]


def test_type_through_and_accept_the_rest(nvim: Neovim) -> None:
    row, column, text = nvim.ghost() or pytest.fail("the ghost text is gone")
    want = nvim.accepted(row, column, text)
    nvim.type(text[0])
    until(lambda: nvim.lua(LAST)["source"] == "reuse", "the rest without the model", 10)
    assert nvim.ghost() == (row, column + len(text[0].encode()), text[1:])
    nvim.type("<C-f>")
    until(lambda: nvim.lua(LINES) == want, f"the accepted text: {want}", 10)


def test_what_is_older_than_the_text_is_not_accepted(nvim: Neovim) -> None:
    row, column, text = nvim.ghost() or pytest.fail("the ghost text is gone")
    want, rest = nvim.accepted(row, column, text[0]), (row, column + len(text[0].encode()), text[1:])
    nvim.type(text[0] + "<C-f>")
    until(lambda: nvim.lua(LAST)["source"] == "reuse" and nvim.ghost() == rest, "a new suggestion", 10)
    assert nvim.lua(LINES) == want


def test_the_demo_prints_the_same_lines() -> None:
    demo = (ROOT / "clients/demo.py").read_text(encoding="utf-8").replace("{{", "{").replace("}}", "}")
    assert "".join(f"    {line}\n" for line in readme_lines().replace(PATH, "{starfill}").splitlines()) in demo
