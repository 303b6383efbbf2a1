--- Finding the server, and talking to the one that runs.
local compat = require('starfill.compat')
local config = require('starfill.config')
local find = require('starfill.find')

local M = {}

local AT_ONCE = 500 -- milliseconds
local PATIENCE = 3000 -- milliseconds for a server to end by itself
local LOOK = 50 -- milliseconds between two looks whether it has

function M.notify(text, level)
  vim.notify('Starfill: ' .. text, level or vim.log.levels.INFO)
end

--- The client of a buffer, else any.
function M.client(buf)
  return vim.lsp.get_clients({ name = config.NAME, bufnr = buf or 0 })[1]
    or vim.lsp.get_clients({ name = config.NAME })[1]
end

--- Ask the server; `answered` gets the result, the user gets the sentence of an error.
function M.request(method, params, answered)
  local client = M.client()
  if not client then
    local _, missing = find.command()
    return M.notify(missing or 'no server runs for this buffer; `:checkhealth starfill` says why.', vim.log.levels.WARN)
  end
  compat.call(client, 'request', method, params, function(err, result)
    if err then
      return M.notify(err.message, vim.log.levels.ERROR)
    end
    answered(result)
  end, vim.api.nvim_get_current_buf())
end

--- The answer, waited for; nil where none came in time. Only where somebody is waiting for it anyway.
function M.ask(method, params)
  local client = M.client()
  local answer = client and compat.call(client, 'request_sync', method, params, AT_ONCE)
  return answer and answer.result
end

--- Run one of the server's commands, as `request`.
function M.execute(command, arguments, answered)
  M.request('workspace/executeCommand', { command = command, arguments = arguments }, answered)
end

--- Settings hold at once for the servers that run, and for those that will be started.
function M.change_settings(settings)
  local changes = { settings = { starfill = settings } }
  config.change(changes)
  for _, client in ipairs(vim.lsp.get_clients({ name = config.NAME })) do
    client.settings = vim.tbl_deep_extend('force', client.settings or {}, changes.settings)
    compat.call(client, 'notify', 'workspace/didChangeConfiguration', { settings = client.settings })
  end
end

local function stop_then(done, since)
  local clients = vim.lsp.get_clients({ name = config.NAME })
  if #clients == 0 then
    return done()
  end
  local late = vim.uv.now() - since >= PATIENCE
  for _, client in ipairs(clients) do
    if late or not compat.call(client, 'is_stopped') then
      compat.call(client, 'stop', late)
    end
  end
  vim.defer_fn(function()
    stop_then(done, since)
  end, LOOK)
end

local restarting = false

--- End the server, by force if need be, and start a new one for all buffers that it is for.
function M.restart()
  if restarting then
    return
  end
  restarting = true
  stop_then(function()
    restarting = false
    config.enable()
  end, vim.uv.now())
end

return M
