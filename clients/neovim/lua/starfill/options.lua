--- What `require('starfill').setup{}` may change.
local M = {}

local defaults = {
  cmd = nil, ---@type string|string[]|nil the server's program, or its whole command line
  filetypes = nil, ---@type string[]|nil nil: all
  settings = {}, -- the section `starfill`, see docs/settings.md
  inline = 'auto', ---@type 'auto'|'builtin'|'own' who draws suggestions; auto: Neovim where it can, from 0.12 on
  debounce = 50, -- milliseconds without a key before a suggestion is asked for; Neovim's own has 200
  keymaps = { -- false: none
    accept = '<Tab>',
    accept_word = '<M-w>',
    accept_line = '<M-l>',
    next = '<M-n>',
    previous = '<M-p>',
    dismiss = '<M-e>',
    suggest = false,
  },
}

local types = {
  cmd = { 'string', 'table' },
  filetypes = { 'table' },
  settings = { 'table' },
  inline = { 'string' },
  debounce = { 'number' },
  keymaps = { 'table', 'boolean' },
}

local function check(known, given, where)
  for name in pairs(given) do
    if known[name] == nil then
      local names = vim.tbl_keys(known)
      table.sort(names)
      error(('Starfill: %s knows no "%s"; it knows %s.'):format(where, name, table.concat(names, ', ')), 0)
    end
  end
end

M.current = vim.deepcopy(defaults)

--- Change some; raises one sentence where they can't be meant.
function M.change(changes)
  check(types, changes, 'setup{}')
  for name, value in pairs(changes) do
    if not vim.tbl_contains(types[name], type(value)) then
      local wanted = table.concat(types[name], ' or ')
      error(('Starfill: "%s" of setup{} must be a %s, not a %s.'):format(name, wanted, type(value)), 0)
    end
  end
  if changes.inline and not vim.tbl_contains({ 'auto', 'builtin', 'own' }, changes.inline) then
    error(('Starfill: "inline" of setup{} must be "auto", "builtin" or "own", not "%s".'):format(changes.inline), 0)
  end
  if type(changes.keymaps) == 'table' then
    check(defaults.keymaps, changes.keymaps, '"keymaps" of setup{}')
  elseif changes.keymaps then
    error('Starfill: "keymaps" of setup{} must be a table, or false for none.', 0)
  end
  M.current = vim.tbl_deep_extend('force', M.current, changes)
end

--- Whether Neovim's own inline completion shows the suggestions.
function M.builtin()
  return M.current.inline ~= 'own' and vim.lsp.inline_completion ~= nil
end

return M
