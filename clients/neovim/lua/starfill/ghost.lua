--- Drawing one suggestion behind the cursor.
local M = {}

local namespace = vim.api.nvim_create_namespace('starfill')
local BUILTIN = vim.fn.hlexists('ComplHint') == 1
vim.api.nvim_set_hl(0, 'StarfillGhost', { link = BUILTIN and 'ComplHint' or 'NonText', default = true })
vim.api.nvim_set_hl(0, 'StarfillHint', { link = BUILTIN and 'ComplHintMore' or 'NonText', default = true })

local drawn ---@type integer|nil a buffer

function M.clear()
  if drawn and vim.api.nvim_buf_is_valid(drawn) then
    vim.api.nvim_buf_clear_namespace(drawn, namespace, 0, -1)
  end
  drawn = nil
end

--- hint: a few words behind it, or nil.
function M.draw(suggestion, hint)
  M.clear()
  local buf = suggestion.buf
  local text = suggestion.text:gsub('\t', (' '):rep(vim.bo[buf].tabstop))
  local lines = {}
  for line in vim.gsplit(text, '\n', { plain = true }) do
    lines[#lines + 1] = { { line, 'StarfillGhost' } }
  end
  if hint then
    table.insert(lines[#lines], { ' ' .. hint, 'StarfillHint' })
  end
  local replaces = suggestion.end_row ~= suggestion.row or suggestion.end_col ~= suggestion.col
  vim.api.nvim_buf_set_extmark(buf, namespace, suggestion.row, suggestion.col, {
    virt_text = lines[1],
    virt_lines = vim.list_slice(lines, 2),
    virt_text_pos = replaces and 'overlay' or 'inline',
    hl_mode = 'combine',
  })
  drawn = buf
end

return M
