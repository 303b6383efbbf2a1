--- A suggestion: { buf, row, col, end_row, end_col, text, command, client_id, asked }, from 0, in bytes.
--- `text` replaces what stands between the two places. `asked` is where it was asked for, see `place`.
local compat = require('starfill.compat')

local M = {}

--- The cursor, and the line that it is in.
function M.place()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local buf = vim.api.nvim_get_current_buf()
  return { buf = buf, row = row - 1, col = col, line = vim.api.nvim_get_current_line() }
end

local function byte(buf, position, encoding)
  local line = vim.api.nvim_buf_get_lines(buf, position.line, position.line + 1, false)[1] or ''
  return compat.byte(line, position.character, encoding)
end

--- Of an LSP item, which may still fit or not.
function M.from_item(item, client, asked)
  local first = { line = asked.row, character = asked.col }
  local range, encoding = item.range, client.offset_encoding
  if not range then
    range, encoding = { start = first, ['end'] = first }, 'utf-8'
  end
  return {
    buf = asked.buf,
    row = range.start.line,
    col = byte(asked.buf, range.start, encoding),
    end_row = range['end'].line,
    end_col = byte(asked.buf, range['end'], encoding),
    text = item.insertText:gsub('\r\n', '\n'),
    command = item.command,
    client_id = client.id,
    asked = asked,
  }
end

local function with(suggestion, changes)
  return vim.tbl_extend('force', suggestion, changes)
end

--- What of it is still to be inserted at the cursor; nil where it doesn't fit the text any more.
--- It fits as long as nothing has happened to its line but that its own first characters were typed.
function M.rest(suggestion)
  local now, asked = M.place(), suggestion.asked
  if now.buf ~= asked.buf or now.row ~= asked.row or suggestion.row ~= now.row or now.col < asked.col then
    return nil
  end
  local typed = now.line:sub(asked.col + 1, now.col)
  if now.line ~= asked.line:sub(1, asked.col) .. typed .. asked.line:sub(asked.col + 1) then
    return nil
  end
  local there = now.line:sub(suggestion.col + 1, now.col)
  if suggestion.col > now.col or not vim.startswith(suggestion.text, there) or suggestion.text == there then
    return nil
  end
  return with(suggestion, {
    col = now.col,
    end_col = suggestion.end_row == now.row and math.max(now.col, suggestion.end_col + #typed) or suggestion.end_col,
    text = suggestion.text:sub(#there + 1),
    asked = now,
  })
end

local WORD = '[%w_\128-\255]'
local PARTS = {
  all = {},
  line = { '^\n*[^\n]+' },
  word = { '^%s*' .. WORD .. '+', '^%s*[^%s%w_\128-\255]+' },
}

--- The first word or line of a text, or all of it; never half a character.
function M.part(text, how)
  for _, pattern in ipairs(PARTS[how]) do
    local found = text:match(pattern)
    if found then
      return found
    end
  end
  return text
end

local function tell(suggestion)
  local client = suggestion.command and vim.lsp.get_client_by_id(suggestion.client_id)
  if client then
    local params = { command = suggestion.command.command, arguments = suggestion.command.arguments }
    compat.call(client, 'request', 'workspace/executeCommand', params, function() end, suggestion.buf)
  end
end

--- Insert the beginning of a suggestion that fits, in an undo step of its own. The rest of it, nil if that was all.
function M.insert(suggestion, part)
  vim.go.undolevels = vim.go.undolevels -- ends the step before
  local whole, lines = part == suggestion.text, vim.split(part, '\n', { plain = true })
  local row, col = suggestion.row, suggestion.col
  local end_row, end_col = row, col
  if whole then
    end_row, end_col = suggestion.end_row, suggestion.end_col
  end
  vim.api.nvim_buf_set_text(suggestion.buf, row, col, end_row, end_col, lines)
  local last_col = (#lines == 1 and col or 0) + #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + #lines, last_col })
  if whole then
    tell(suggestion)
    return nil
  end
  return with(suggestion, {
    row = row + #lines - 1,
    col = last_col,
    end_row = suggestion.end_row + #lines - 1,
    end_col = suggestion.end_row == row and last_col + suggestion.end_col - col or suggestion.end_col,
    text = suggestion.text:sub(#part + 1),
    asked = M.place(),
  })
end

return M
