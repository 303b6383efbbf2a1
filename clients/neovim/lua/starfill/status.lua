--- What the server is doing, as it tells with `starfill/status`.
local M = {}

local newest, latest = 0, nil -- a client, and what is known of it

local function set(client_id, status)
  if client_id < newest then
    return
  end
  local before = M.text()
  newest, latest = client_id, status
  if M.text() ~= before then
    vim.cmd.redrawstatus({ bang = true })
  end
end

M.handlers = {
  ['starfill/status'] = function(_, status, context)
    set(context.client_id, status)
  end,
}

--- The client's `on_exit`.
function M.ended(code, signal, client_id)
  local well = code == 0 and signal == 0
  vim.schedule(function()
    set(client_id, not well and { state = 'stopped', message = '`:Starfill restart` starts it again' } or nil)
  end)
end

--- { state, message, model, device, progress } of the newest client; nil where none was started.
function M.get()
  return latest
end

--- For a statusline: a few words, "" where no server was started.
function M.text()
  local status = M.get()
  if not status then
    return ''
  end
  if status.state == 'ready' then -- with a message: who stands in for a serving engine that fails
    return (status.message or '') == '' and 'Starfill' or 'Starfill: ' .. status.model
  end
  local known = type(status.progress) == 'number' and (' %d%%'):format(math.floor(100 * status.progress)) or ''
  return 'Starfill: ' .. status.state .. known
end

return M
