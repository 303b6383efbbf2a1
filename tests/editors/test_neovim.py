"""A real Neovim with the README's lines as its init.lua, the real server and the bundled model.

NVIM_BIN names the Neovim, else the one on PATH is taken. What the model suggests doesn't matter here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATH = "/path/to/.venv/bin/starfill"
STARFILL = Path(sys.executable).parent / "starfill"
SOURCE = "import os\n\n\ndef main():\n    größe = 0; names = sorted(os"
NOTE_STATUS = "lua vim.lsp.handlers['starfill/status'] = function(_, status) vim.g.starfill = status.state end"
LINES = "vim.api.nvim_buf_get_lines(0, 0, -1, false)"
LAST = "vim.lsp.get_clients()[1]:request_sync('starfill/lastCompletion', {uri = vim.uri_from_bufnr(0)}, 5000).result"
GHOST = """vim.tbl_map(
    function(mark) return {mark[2], mark[3], mark[4].virt_text, mark[4].virt_lines or {}} end,
    vim.api.nvim_buf_get_extmarks(
        0, vim.api.nvim_create_namespace('nvim.lsp.inline_completion'), 0, -1, {details = true}))"""


def readme_lines() -> str:
    (block,) = re.findall(r"```lua\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert PATH in block
    return str(block)


def find() -> str:
    program = os.environ.get("NVIM_BIN") or shutil.which("nvim")
    if program is None:
        pytest.skip("there is no Neovim: neither NVIM_BIN nor nvim on PATH")
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"NVIM v(\d+)\.(\d+)", printed)
    if version is None or (int(version[1]), int(version[2])) < (0, 12):
        pytest.skip(f"inline completion needs Neovim 0.12; {program} is {printed.splitlines()[0]}")
    return program


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)
    return value


class Neovim:
    """Driven from outside, as `nvim --server` does it."""

    def __init__(self, program: str, folder: Path) -> None:
        homes = {f"XDG_{name}_HOME": str(folder / name) for name in ("CONFIG", "DATA", "STATE")}
        self._calls = {"cwd": folder, "env": os.environ | homes | {"OMP_NUM_THREADS": "1"}}
        self._remote = [program, "--server", "./socket"]  # a relative path, since it must be short
        (folder / "init.lua").write_text(readme_lines().replace(PATH, str(STARFILL)), encoding="utf-8")
        (folder / "code.py").write_text(SOURCE + "\n", encoding="utf-8")
        start = [program, "--headless", "--clean", "--listen", "./socket", "--cmd", NOTE_STATUS, "-u", "init.lua"]
        self.process = subprocess.Popen([*start, "code.py"], stdin=subprocess.DEVNULL, **self._calls)
        until((folder / "socket").exists, "Neovim")

    def lua(self, expression: str) -> Any:
        quoted = f"vim.json.encode({{{expression}}})".replace("'", "''")
        command = [*self._remote, "--remote-expr", f"luaeval('{quoted}')"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, **self._calls)
        return next(iter(json.loads(done.stdout)), None)

    def type(self, keys: str) -> None:
        subprocess.run([*self._remote, "--remote-send", keys], check=True, **self._calls)

    def ghost(self) -> tuple[int, int, str] | None:
        """Row, column (bytes) and text of what is shown behind the cursor."""
        for row, column, first, others in self.lua(GHOST):
            return row, column, "\n".join("".join(chunk[0] for chunk in line) for line in (first, *others))
        return None

    def accepted(self, row: int, column: int, text: str) -> list[str]:
        """The lines with `text` put in there."""
        lines: list[str] = self.lua(LINES)
        line = lines[row].encode()
        lines[row : row + 1] = (line[:column] + text.encode() + line[column:]).decode().split("\n")
        return lines


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    nvim = Neovim(find(), tmp_path_factory.mktemp("nvim"))
    try:
        until(lambda: nvim.lua("vim.g.starfill") == "ready", "the model")
        yield nvim
        nvim.type(r"<C-\><C-n>:qa!<CR>")
        assert nvim.process.wait(10) == 0
    finally:
        nvim.process.kill()
        nvim.process.wait()


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
