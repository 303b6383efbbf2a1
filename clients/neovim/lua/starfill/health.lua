--- `:checkhealth starfill`
local config = require('starfill.config')
local find = require('starfill.find')
local options = require('starfill.options')

local M = {}

local PATIENCE = 10000 -- milliseconds

local function check_neovim()
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.10') == 0 then
    vim.health.error('Neovim ' .. version, 'Starfill needs 0.10 or newer.')
  elseif options.builtin() then
    vim.health.ok('Neovim ' .. version .. ' shows suggestions itself.')
  else
    vim.health.ok('Neovim ' .. version .. ': the plugin draws suggestions.')
  end
end

local function check_program()
  local command, missing = find.command()
  if not command then
    return vim.health.error(missing)
  end
  local ask = vim.tbl_map(function(word)
    return word == '--stdio' and '--version' or word
  end, command)
  local ran, done = pcall(function()
    return vim.system(ask, { text = true }):wait(PATIENCE)
  end)
  if ran and done.code == 0 then
    vim.health.ok(('%s is %s'):format(command[1], vim.trim(done.stdout)))
  else
    local why = ran and vim.trim(done.stderr or '') or done
    vim.health.error(('`%s` failed: %s'):format(table.concat(ask, ' '), why), 'Install Starfill again.')
  end
end

local function check_server()
  local clients = vim.lsp.get_clients({ name = config.NAME })
  if #clients == 0 then
    local advice = "Call require('starfill').setup{} in init.lua, open a file that it is for, or `:Starfill restart`."
    return vim.health.warn('No server runs.', advice)
  end
  for _, client in ipairs(clients) do
    local count = #vim.tbl_keys(client.attached_buffers)
    vim.health.ok(('The server runs, for %d %s.'):format(count, count == 1 and 'buffer' or 'buffers'))
  end
  local status = require('starfill.status').get()
  if not status then
    return vim.health.warn('It has not told its state.', '`:Starfill log` may say more.')
  end
  local words = ('Its state is "%s"; model: %s, device: %s.'):format(status.state, status.model, status.device)
  if status.state == 'error' then
    vim.health.error(status.message, '`:Starfill doctor` checks the installation.')
  elseif status.state == 'paused' then
    vim.health.warn(status.message ~= '' and status.message or words, '`:Starfill enable` turns suggestions on.')
  else
    vim.health.ok(words)
  end
end

local function check_keys()
  for action, lhs in vim.spairs(options.current.keymaps or {}) do
    if lhs then
      vim.health.info(('%s: %s'):format(lhs, action))
    end
  end
end

function M.check()
  vim.health.start('starfill')
  check_neovim()
  check_program()
  check_server()
  check_keys()
end

return M
