"""A real Neovim, driven from outside, with the README's lines as its init.lua and the real server.

NVIM_BIN names the Neovim, else the one on PATH is taken.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATH = "/path/to/.venv/bin/starfill"
STARFILL = Path(sys.executable).parent / "starfill"
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

    def __init__(self, program: str, folder: Path, text: str) -> None:
        homes = {f"XDG_{name}_HOME": str(folder / name) for name in ("CONFIG", "DATA", "STATE")}
        self._calls = {"cwd": folder, "env": os.environ | homes | {"OMP_NUM_THREADS": "1"}}
        self._remote = [program, "--server", "./socket"]  # a relative path, since it must be short
        (folder / "init.lua").write_text(readme_lines().replace(PATH, str(STARFILL)), encoding="utf-8")
        (folder / "code.py").write_text(text, encoding="utf-8")
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

    def quit(self) -> int:
        """The exit code."""
        self.type(r"<C-\><C-n>:qa!<CR>")
        return self.process.wait(10)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
