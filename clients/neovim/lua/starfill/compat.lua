--- What Neovim 0.10 calls differently.
local M = {}

local methods = vim.fn.has('nvim-0.11') == 1

--- client:name(...)
function M.call(client, name, ...)
  if methods then
    return client[name](client, ...)
  end
  return client[name](...)
end

--- The byte offset in a line of a character that is counted as the client and its server have agreed.
function M.byte(line, character, encoding)
  if encoding == 'utf-8' then
    return math.min(character, #line)
  end
  if methods then
    return vim.str_byteindex(line, encoding, character, false)
  end
  local units = select(encoding == 'utf-16' and 2 or 1, vim.str_utfindex(line))
  return vim.str_byteindex(line, math.min(character, units), encoding == 'utf-16')
end

return M
