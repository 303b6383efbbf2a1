--- Suggestions while typing: those that Neovim shows, and those that we draw ourselves. The latter are all of them
--- where it can't (or `inline = 'own'`), else what is left after accepting a part, and candidates that were asked for.
local builtin = require('starfill.builtin')
local compat = require('starfill.compat')
local config = require('starfill.config')
local ghost = require('starfill.ghost')
local options = require('starfill.options')
local suggestion = require('starfill.suggestion')

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local INVOKED, AUTOMATIC = 1, 2 -- InlineCompletionTriggerKind

local shown ---@type { items: table[], index: integer }|nil what we draw
local asked ---@type { client: table, kind: integer, id: integer|nil }|nil the request that is under way
local timer ---@type table|nil until a request is made

local function show(items, index)
  shown = { items = items, index = index }
  ghost.draw(items[index], #items > 1 and ('(%d/%d)'):format(index, #items) or nil)
end

local function clear()
  shown = nil
  ghost.clear()
end

--- What we draw, as far as it is still to be inserted.
local function current()
  return shown and suggestion.rest(shown.items[shown.index])
end

local function cancel()
  if timer and not timer:is_closing() then
    timer:stop()
    timer:close()
  end
  timer = nil
  if asked then
    compat.call(asked.client, 'cancel_request', asked.id)
    asked = nil
  end
end

local function inserting()
  return vim.api.nvim_get_mode().mode:sub(1, 1) == 'i' and vim.fn.pumvisible() == 0
end

--- The answer supersedes what we draw; one that comes when another was asked for is dropped.
local function ask(kind, before)
  cancel()
  local client = vim.lsp.get_clients({ name = config.NAME, bufnr = 0 })[1]
  if not client then
    return
  end
  local place, request = suggestion.place(), { client = client, kind = kind }
  local position = vim.lsp.util.make_position_params(0, client.offset_encoding)
  local params = vim.tbl_extend('error', position, { context = { triggerKind = kind } })
  asked = request
  local _, id = compat.call(client, 'request', METHOD, params, function(err, result)
    if asked ~= request then
      return
    end
    asked = nil
    local items = {}
    for _, item in ipairs(not err and inserting() and result and (result.items or result) or {}) do
      items[#items + 1] = suggestion.rest(suggestion.from_item(item, client, place))
    end
    if #items == 0 then
      return clear()
    end
    local other = #items > 1 and before == items[1].text
    show(items, other and 2 or 1)
  end, place.buf)
  request.id = id
end

local function typed()
  local now = current()
  if shown and not now then
    clear()
  elseif shown and now.text ~= shown.items[shown.index].text then
    show({ now }, 1)
  end
  if options.builtin() then
    return
  end
  cancel()
  timer = vim.defer_fn(function()
    if inserting() then
      ask(AUTOMATIC)
    end
  end, options.current.debounce)
end

local function left()
  cancel()
  clear()
end

--- Suggest in a buffer that a client was attached to.
function M.attach(buf)
  local group = vim.api.nvim_create_augroup('starfill.inline.' .. buf, {})
  local on = function(events, callback)
    vim.api.nvim_create_autocmd(events, { group = group, buffer = buf, callback = callback })
  end
  on({ 'InsertEnter', 'CursorMovedI', 'TextChangedI' }, typed)
  on({ 'TextChangedP', 'InsertLeave', 'BufLeave', 'LspDetach' }, left)
  if options.builtin() then
    builtin.attach(buf, function(client_id, id)
      if not asked or asked.client.id ~= client_id or asked.id ~= id then
        clear() -- Neovim shows that answer
      end
    end)
  end
end

--- Hide what is shown, by whomever. Whether anything was, and the suggestion if it still fits the text.
local function take()
  if shown then
    local now = current()
    left()
    return true, now
  end
  return builtin.take()
end

--- Insert the next 'word' or 'line' of what is shown, or 'all'; only what fits the text as it is now.
function M.accept(how)
  if not inserting() then
    return false
  end
  local _, now = take()
  if not now then
    return false
  end
  local rest = suggestion.insert(now, suggestion.part(now.text, how))
  if rest then
    show({ rest }, 1)
  end
  return true
end

--- The next candidate, or the one before; more than one are computed when they are asked for.
function M.cycle(step)
  if not inserting() then
    return false
  end
  if shown and #shown.items > 1 and current() then
    show(shown.items, (shown.index - 1 + step) % #shown.items + 1)
    return true
  end
  if asked and asked.kind == INVOKED then
    return true -- they are on their way
  end
  local _, now = take()
  if not now then
    return false
  end
  show({ now }, 1)
  ask(INVOKED, now.text)
  return true
end

function M.dismiss()
  local there = take()
  return there
end

function M.suggest()
  if not inserting() then
    return false
  end
  take()
  ask(INVOKED)
  return true
end

return M
