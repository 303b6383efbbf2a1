--- Where the server's program is.
local options = require('starfill.options')

local M = {}

local PROGRAM = vim.fn.has('win32') == 1 and 'Scripts/starfill.exe' or 'bin/starfill'
local HERE = vim.fn.resolve(debug.getinfo(1, 'S').source:sub(2))
local REPOSITORY = vim.fn.fnamemodify(HERE, ':p:h:h:h:h:h') -- of clients/neovim/lua/starfill/find.lua

local function as_list(command)
  return type(command) == 'string' and { vim.fn.expand(command), '--stdio' } or command
end

--- The command line, else nil and one sentence. The first that is there:
---   1. `cmd` of setup{}
---   2. vim.g.starfill_cmd
---   3. the virtual environment that is active
---   4. the .venv of the repository that this plugin is a part of
---   5. PATH
--- Who names a command wants that one and no other: nothing else is tried when it is missing.
function M.command()
  local name, given = '`cmd` of setup{}', options.current.cmd
  if not given then
    name, given = 'vim.g.starfill_cmd', vim.g.starfill_cmd
  end
  if given then
    given = as_list(given)
    if vim.fn.executable(given[1]) == 1 then
      return given
    end
    return nil, ('%s names "%s", which is no program here; correct it, or leave it out.'):format(name, given[1])
  end
  for _, environment in ipairs({ vim.env.VIRTUAL_ENV or '', REPOSITORY .. '/.venv' }) do
    local program = environment .. '/' .. PROGRAM
    if environment ~= '' and vim.fn.executable(program) == 1 then
      return { program, '--stdio' }
    end
  end
  local program = vim.fn.exepath('starfill')
  if program ~= '' then
    return { program, '--stdio' }
  end
  return nil, 'there is no `starfill` program in an environment or on PATH; install it (`make demo` in its repository'
    .. " does) or name it with require('starfill').setup{ cmd = '/path/to/starfill' }."
end

return M
