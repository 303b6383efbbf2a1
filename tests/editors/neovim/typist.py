"""Somebody who types in a Neovim, a character each tenth of a second, and looks at nothing."""

from __future__ import annotations

import keyword
from pathlib import Path

from editors.neovim.driver import Neovim, with_plugin

KEYS = 600
PAUSE = 100  # milliseconds
REST = 250  # further milliseconds after a line, so that Neovim itself, which waits for 200, asks at times
WARM = 200  # keys, after which caches are filled
# What a Python programmer types, without indentation, since that is what Neovim adds by itself.
CODE = "".join(f"{word}_total = compute({word!r}, größe)\nif {word}_total:\n" for word in keyword.kwlist)[:KEYS]
LUA = """
vim.bo.indentexpr, vim.bo.autoindent, vim.bo.indentkeys = '', false, ''
_G.memory = {}
local function resident(process)
  for line in io.lines(('/proc/%d/status'):format(process)) do
    local kilobytes = line:match('^VmRSS:%s*(%d+)')
    if kilobytes then return tonumber(kilobytes) end
  end
end
local keys, typed = vim.fn.split(CODE, '\\\\zs'), 0
local server = vim.api.nvim_get_proc_children(vim.fn.getpid())[1]
local function type()
  typed = typed + 1
  vim.api.nvim_input(keys[typed] == '\\n' and '<CR>' or keys[typed])
  if typed == WARM or typed == #keys then
    table.insert(_G.memory, { resident(vim.fn.getpid()), resident(server) })
  end
  if typed < #keys then
    vim.defer_fn(type, PAUSE + (keys[typed] == '\\n' and REST or 0))
  end
end
type()
"""


class Typist:
    """Begins at once."""

    def __init__(self, folder: Path, options: str) -> None:
        self.nvim = Neovim(folder, with_plugin(options), "")
        try:
            self.nvim.wait_until_ready()
            self.nvim.type("i")
            self.nvim.run(f"local CODE, WARM, PAUSE, REST = [[{CODE}]], {WARM}, {PAUSE}, {REST}\n{LUA}")
        except BaseException:
            self.nvim.kill()
            raise

    def memory(self) -> list[tuple[int, int]]:
        """kB that Neovim and the server hold: warm, and after the last key, as soon as that is typed."""
        return [(editor, server) for editor, server in self.nvim.lua("_G.memory")]
