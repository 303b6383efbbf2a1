--- The read-only documents that the server shows: explanations, which grow while they are written.
local compat = require('starfill.compat')

local M = {}

local SCHEME = 'starfill:/'
local WIDE = 160 -- columns, from which on there is room beside the code

local buffers = {} -- by URI

local function put(buf, text)
  vim.bo[buf].modifiable = true
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, vim.split(vim.trim(text), '\n', { plain = true }))
  vim.bo[buf].modifiable = false
end

local function fetch(client_id, uri)
  local client = vim.lsp.get_client_by_id(client_id)
  if not client then
    return
  end
  compat.call(client, 'request', 'workspace/textDocumentContent', { uri = uri }, function(_, result)
    local buf = buffers[uri]
    if result and buf and vim.api.nvim_buf_is_valid(buf) then
      put(buf, result.text)
    end
  end)
end

local function open(uri)
  local buf = vim.api.nvim_create_buf(false, true)
  buffers[uri] = buf
  vim.api.nvim_buf_set_name(buf, (vim.uri_decode(uri):gsub('^starfill:/', 'starfill://')))
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].filetype = 'markdown'
  vim.bo[buf].modifiable = false
  vim.api.nvim_create_autocmd('BufWipeout', {
    buffer = buf,
    callback = function()
      buffers[uri] = nil
    end,
  })
  return buf
end

--- The window that shows one of these documents, else a new one.
local function window(buf, focus)
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    if vim.tbl_contains(vim.tbl_values(buffers), vim.api.nvim_win_get_buf(win)) then
      vim.api.nvim_win_set_buf(win, buf)
      if focus then
        vim.api.nvim_set_current_win(win)
      end
      return win
    end
  end
  local split = vim.o.columns >= WIDE and 'right' or 'below'
  local win = vim.api.nvim_open_win(buf, focus, { split = split, win = 0 })
  vim.wo[win][0].wrap, vim.wo[win][0].linebreak = true, true
  return win
end

M.handlers = {
  ['window/showDocument'] = function(err, params, context, more)
    if not vim.startswith(params.uri, SCHEME) then
      return vim.lsp.handlers['window/showDocument'](err, params, context, more)
    end
    window(buffers[params.uri] or open(params.uri), params.takeFocus == true)
    fetch(context.client_id, params.uri)
    return { success = true }
  end,
  ['workspace/textDocumentContent/refresh'] = function(_, params, context)
    if buffers[params.uri] then
      fetch(context.client_id, params.uri)
    end
    return vim.NIL
  end,
}

return M
