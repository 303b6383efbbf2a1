--- Keys in insert mode. Where there is nothing for a key to do, it does what it would do without us.
local options = require('starfill.options')

local M = {}

local DESCRIPTIONS = {
  accept = 'accept the suggestion',
  accept_word = 'accept its next word',
  accept_line = 'accept its next line',
  next = 'next suggestion',
  previous = 'previous suggestion',
  dismiss = 'dismiss the suggestion',
  suggest = 'suggest something here',
}

local function raw(keys)
  return vim.api.nvim_replace_termcodes(keys, true, true, true)
end

local function mapping(mappings, lhs)
  for _, map in ipairs(mappings) do
    if map.lhsraw == raw(lhs) or map.lhsrawalt == raw(lhs) then
      return map
    end
  end
end

--- Before what was typed ahead, or keys would change places.
local function feed(keys, remap)
  vim.api.nvim_feedkeys(keys, remap and 'mi' or 'ni', false)
end

local function run(map)
  local rhs = map.rhs and map.rhs:gsub('<[sS][iI][dD]>', ('<SNR>%d_'):format(map.sid))
  local keys
  if map.expr == 1 then
    keys = map.callback and map.callback() or rhs and vim.api.nvim_eval(raw(rhs))
    if type(keys) ~= 'string' then
      return
    end
    keys = map.replace_keycodes == 1 and raw(keys) or keys
  elseif map.callback then
    return map.callback()
  else
    keys = raw(rhs)
  end
  -- One that begins with itself isn't mapped again, or it would never end.
  feed(keys, map.noremap == 0 and not vim.startswith(keys, map.lhsraw))
end

local function fall_through(lhs, hidden)
  local map = hidden or mapping(vim.api.nvim_get_keymap('i'), lhs)
  if map then
    run(map)
  else
    feed(raw(lhs), false)
  end
end

--- Once for each buffer.
function M.attach(buf)
  if vim.b[buf].starfill_keys then
    return
  end
  vim.b[buf].starfill_keys = true
  for action, lhs in pairs(options.current.keymaps or {}) do
    if lhs then
      local hidden = mapping(vim.api.nvim_buf_get_keymap(buf, 'i'), lhs)
      vim.keymap.set('i', lhs, function()
        if not require('starfill')[action]() then
          fall_through(lhs, hidden)
        end
      end, { buffer = buf, desc = 'Starfill: ' .. DESCRIPTIONS[action] })
    end
  end
end

return M
