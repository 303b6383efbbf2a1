--- Starfill's Neovim plugin: `:help starfill`. Everything clever is in the server.
local M = {}

--- Change options and start the server for the buffers that it is for.
function M.setup(changes)
  local config, options = require('starfill.config'), require('starfill.options')
  options.change(changes or {})
  vim.cmd.runtime('plugin/starfill.lua') -- not sourced yet where a plugin manager loads us late
  if options.current.filetypes then
    config.change({ filetypes = options.current.filetypes })
  end
  if next(options.current.settings) then
    require('starfill.server').change_settings(options.current.settings)
  end
  config.enable()
end

--- Change settings of the server, without a restart: require('starfill').settings({ maxNewTokens = 32 })
function M.settings(settings)
  require('starfill.server').change_settings(settings)
end

--- For a statusline: a few words, "" where no server was started.
function M.status()
  return require('starfill.status').text()
end

-- The following are for insert mode. Each returns whether there was something to do, so that a key can fall through.

function M.accept()
  return require('starfill.inline').accept('all')
end

function M.accept_word()
  return require('starfill.inline').accept('word')
end

function M.accept_line()
  return require('starfill.inline').accept('line')
end

function M.next()
  return require('starfill.inline').cycle(1)
end

function M.previous()
  return require('starfill.inline').cycle(-1)
end

function M.dismiss()
  return require('starfill.inline').dismiss()
end

--- Ask for suggestions here, all that the setting `candidates` allows.
function M.suggest()
  return require('starfill.inline').suggest()
end

return M
