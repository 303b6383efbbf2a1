"""A real Neovim, driven from outside, with the lines of the plugin's README as its init.lua and the real server.

NVIM_BIN names the Neovim, else `found` knows where one is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from editors.found import needed
from editors.screen import PATIENCE, STARFILL, private, until

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "clients/neovim"
PLUGIN_PATH = "/path/to/starfill/clients/neovim"  # in the README
SERVER_PATH = "/path/to/.venv/bin/starfill"
ENVIRONMENT = STARFILL.parents[1]
GHOST = """vim.iter({'nvim.lsp.inline_completion', 'starfill'}):map(function(name)
    return vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace(name), 0, -1, {details = true})
end):flatten(1):map(function(mark)
    return {mark[2], mark[3], mark[4].virt_text, mark[4].virt_lines or {}}
end):totable()"""
# Or each start tries every python3 on PATH for plugins written in Python, which takes seconds; there are none.
NO_PROVIDER = "vim.g.loaded_python3_provider = 0\n"
# What is said to the user, since a headless Neovim has no screen to read it from; and answers: yes, and _G.choice.
NOTE = """
_G.said = {}
vim.notify = function(text) table.insert(_G.said, text) end
vim.fn.confirm = function(words) _G.asked = words return 1 end
vim.ui.select = function(items, how, done)
  for _, item in ipairs(items) do
    if how.format_item(item):find(_G.choice, 1, true) then return done(item) end
  end
end
"""


def readme_blocks() -> list[str]:
    """The Lua blocks: with the plugin, without it."""
    blocks = re.findall(r"```lua\n(.*?)```", (PLUGIN / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert PLUGIN_PATH in blocks[0] and SERVER_PATH in blocks[1] and len(blocks) == 2
    return [str(block) for block in blocks]


def with_plugin(options: str = "") -> str:
    lines = readme_blocks()[0].replace(PLUGIN_PATH, str(PLUGIN))
    assert "setup{}" in lines
    return lines.replace("setup{}", f"setup{{{options}}}")


def without_plugin() -> str:
    return readme_blocks()[1].replace(SERVER_PATH, str(STARFILL))


def find(name: str = "nvim") -> str:
    return (os.environ.get("NVIM_BIN") if name == "nvim" else None) or str(needed(name))


class Neovim:
    """Driven from outside, as `nvim --server` does it."""

    def __init__(self, folder: Path, init: str, text: str, *, name: str = "code.py", program: str = "nvim") -> None:
        self._calls: dict[str, Any] = {"cwd": folder, "env": private(folder) | {"VIRTUAL_ENV": str(ENVIRONMENT)}}
        binary = find(program)
        self._remote = [binary, "--server", "./socket"]  # a relative path, since it must be short
        self.file = folder / name
        self.file.write_text(text, encoding="utf-8")
        (folder / "init.lua").write_text(NO_PROVIDER + NOTE + init, encoding="utf-8")
        start = [binary, "--headless", "--clean", "--listen", "./socket", "-u", "init.lua", name]
        self.process = subprocess.Popen(start, stdin=subprocess.DEVNULL, **self._calls)
        until((folder / "socket").exists, "Neovim")

    def lua(self, expression: str) -> Any:
        quoted = f"vim.json.encode({{{expression}}})".replace("'", "''")
        command = [*self._remote, "--remote-expr", f"luaeval('{quoted}')"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, **self._calls)
        assert done.returncode == 0, f"{expression}: {done.stderr}"
        return next(iter(json.loads(done.stdout)), None)

    def run(self, statements: str) -> Any:
        return self.lua(f"(function() {statements} end)()")

    def type(self, keys: str) -> None:
        subprocess.run([*self._remote, "--remote-send", keys], check=True, capture_output=True, **self._calls)

    def wait_until_ready(self) -> None:
        """Neovim itself looks, for half a second at a time, in which it takes no keys: each question is a process."""
        ready = "function() return require('starfill').status() == 'Starfill' end"
        until(lambda: self.lua(f"vim.wait(500, {ready}, 20)"), "the model")

    def lines(self) -> list[str]:
        return list(self.lua("vim.api.nvim_buf_get_lines(0, 0, -1, false)"))

    def fill(self, text: str) -> None:
        """The buffer has this text, and insert mode is at its end."""
        self.type(r"<C-\><C-n>")
        self.run(f"vim.api.nvim_buf_set_lines(0, 0, -1, false, vim.split([[{text}]], '\\n'))")
        self.type("GA")

    def ghost(self) -> tuple[int, int, str] | None:
        """Row, column (bytes) and text of what is shown behind the cursor."""
        for row, column, first, others in self.lua(GHOST):
            return row, column, "\n".join("".join(chunk[0] for chunk in line) for line in (first, *others))
        return None

    def shown(self) -> tuple[int, int, str]:
        return tuple(until(self.ghost, "ghost text"))

    def with_text(self, row: int, column: int, text: str) -> list[str]:
        """The lines with `text` put in there."""
        lines = self.lines()
        line = lines[row].encode()
        lines[row : row + 1] = (line[:column] + text.encode() + line[column:]).decode().split("\n")
        return lines

    def until_lines(self, want: list[str]) -> None:
        until(lambda: self.lines() == want, f"the text {want}")

    def ask(self, method: str, params: str = "{}") -> Any:
        """A request of our own, answered by the server."""
        return self.run(
            "local client = vim.lsp.get_clients({name = 'starfill'})[1] "
            "local call = vim.fn.has('nvim-0.11') == 1 and function(...) return client:request_sync(...) end"
            f" or client.request_sync return call('{method}', {params}, {1000 * PATIENCE}, 0).result"
        )

    def last(self) -> Any:
        return self.ask("starfill/lastCompletion", "{uri = vim.uri_from_bufnr(0)}")

    def why(self) -> str:
        """Why nothing was suggested, "" where something was."""
        return self.last().get("reason") or ""

    def statistics(self) -> Any:
        return self.ask("starfill/statistics", "vim.empty_dict()")

    def save(self) -> str:
        self.type(r"<C-\><C-n>")
        self.run("vim.cmd.write()")
        return self.file.read_text(encoding="utf-8")

    def said(self) -> list[str]:
        """The messages since this was asked last."""
        return list(self.run("local said = _G.said _G.said = {} return said"))

    def until_said(self, words: str) -> str:
        heard: list[str] = []

        def found() -> str | None:
            heard.extend(self.said())
            return next((each for each in heard if words in each), None)

        return str(until(found, f"the message {words!r}"))

    @contextmanager
    def until_the_end(self) -> Iterator[Neovim]:
        """At the end it must leave by itself."""
        try:
            yield self
            assert self.quit() == 0
        finally:
            self.kill()

    def quit(self) -> int:
        """The exit code."""
        keys = [*self._remote, "--remote-send", r"<C-\><C-n>:qa!<CR>"]
        subprocess.run(keys, check=False, capture_output=True, **self._calls)  # it may be gone before it answers
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
