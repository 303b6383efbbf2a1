--- Neovim's own inline completion, from 0.12 on: it asks and it shows; what is inserted, and whether, we decide.
--- It goes on showing what is older than the text, and would insert it.
local suggestion = require('starfill.suggestion')

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local PATIENCE = 1000 -- milliseconds; what is waited for is in the queue already

local asked, answered = {}, {} -- places: of the requests under way, of the last answer by buffer

--- `on_answer`: another answer has come, to the request `id` of a client.
function M.attach(buf, on_answer)
  vim.lsp.inline_completion.enable(true, { bufnr = buf })
  local group = vim.api.nvim_create_augroup('starfill.builtin.' .. buf, {})
  vim.api.nvim_create_autocmd('LspRequest', {
    group = group,
    buffer = buf,
    callback = function(event)
      local client_id, id, request = event.data.client_id, event.data.request_id, event.data.request
      if request.method ~= METHOD then
        return
      end
      local key = client_id .. ':' .. id
      if request.type == 'pending' then
        asked[key] = vim.api.nvim_get_current_buf() == buf and suggestion.place() or nil
        return
      end
      if request.type == 'complete' then
        answered[buf] = asked[key]
        on_answer(client_id, id)
      end
      asked[key] = nil
    end,
  })
  vim.api.nvim_create_autocmd('BufUnload', {
    group = group,
    buffer = buf,
    callback = function()
      answered[buf] = nil
    end,
  })
end

local function from(item, place)
  local row, col, end_row, end_col = place.row, place.col, place.row, place.col
  if item.range then
    row, col, end_row, end_col = item.range:to_extmark()
  end
  return {
    buf = place.buf,
    row = row,
    col = col,
    end_row = end_row,
    end_col = end_col,
    text = item.insert_text:gsub('\r\n', '\n'),
    command = item.command,
    client_id = item.client_id,
    asked = place,
  }
end

--- Hide what is shown. Whether anything was, and the suggestion if it still fits the text.
function M.take()
  local shown, place = nil, answered[vim.api.nvim_get_current_buf()]
  local keep = function(item)
    shown = item
  end
  if not vim.lsp.inline_completion or not vim.lsp.inline_completion.get({ on_accept = keep }) then
    return false, nil
  end
  local taken = false -- `get` is over when what it has scheduled is
  vim.schedule(function()
    taken = true
  end)
  vim.wait(PATIENCE, function()
    return taken
  end, 1)
  local fits = shown and place and type(shown.insert_text) == 'string' and suggestion.rest(from(shown, place)) or nil
  if not fits then
    vim.api.nvim_exec_autocmds('CursorMovedI', { buffer = 0 }) -- ask again, since hiding has ended that too
  end
  return true, fits
end

return M
