--- `:Starfill`, its subcommands and their completion.
local find = require('starfill.find')
local server = require('starfill.server')

local M = {}

local SCOPES = { 'all', 'language', 'file' }
local WORDS = { all = 'everywhere', language = 'for this language', file = 'in this file' }

local function uri()
  return vim.uri_from_bufnr(0)
end

local function turn(scope, enabled)
  scope = scope or 'all'
  if not WORDS[scope] then
    return server.notify(('"%s" is none of %s.'):format(scope, table.concat(SCOPES, ', ')), vim.log.levels.ERROR)
  end
  local order = { scope = scope, uri = uri(), enabled = enabled == nil and vim.NIL or enabled }
  server.execute('starfill.setEnabled', { order }, function(now)
    local here = now.enabled and '' or now[scope] and '; here there are none: ' .. now.reason or ''
    server.notify(('suggestions are %s %s%s.'):format(now[scope] and 'on' or 'off', WORDS[scope], here))
  end)
end

local WHERE = { bundled = 'comes with Starfill', here = 'on this machine', known = 'to be downloaded' }

local function choose_model(name)
  if name then
    return require('starfill').settings({ model = name })
  end
  server.execute('starfill.models', {}, function(models)
    vim.ui.select(models, {
      prompt = 'Model:',
      format_item = function(model)
        local size = type(model.bytes) == 'number' and (', %.1f GB'):format(model.bytes / 1e9) or ''
        return ('%s%s (%s%s)'):format(model.current and '* ' or '  ', model.name, WHERE[model.where], size)
      end,
    }, function(model)
      if model then
        require('starfill').settings({ model = model.name })
      end
    end)
  end)
end

--- The lines of the command's range, else where the cursor is.
local function range(command)
  if command.range == 0 then
    local row, col = unpack(vim.api.nvim_win_get_cursor(0))
    local line = vim.api.nvim_get_current_line():sub(1, col)
    local client = server.client()
    local character = client and client.offset_encoding == 'utf-8' and col or vim.fn.strutf16len(line)
    local at = { line = row - 1, character = character }
    return { start = at, ['end'] = at }
  end
  local last = vim.api.nvim_buf_get_lines(0, command.line2 - 1, command.line2, false)[1] or ''
  return {
    start = { line = command.line1 - 1, character = 0 },
    ['end'] = { line = command.line2 - 1, character = #last }, -- past the end in other units is the end
  }
end

local function ask(text, command)
  local order = { uri = uri(), range = range(command) }
  local send = function(instruction)
    if instruction and vim.trim(instruction) ~= '' then
      order.instruction = instruction
      server.execute('starfill.instruct', { order }, function() end)
    end
  end
  if text ~= '' then
    send(text)
  else
    vim.ui.input({ prompt = 'What is to be done with this code? ' }, send)
  end
end

local function why()
  server.request('starfill/lastCompletion', { uri = uri() }, function(last)
    if type(last.reason) == 'string' and last.reason ~= '' then
      return server.notify('nothing was suggested: ' .. last.reason)
    end
    local who = last.model and (' (%s on %s)'):format(last.model, last.device) or '' -- none from an older server
    server.notify(('the last suggestion came from "%s"%s in %d ms.'):format(last.source, who, last.totalMs or 0))
  end)
end

local function status()
  local known = require('starfill.status').get()
  if not known then
    return server.notify('no server was started; `:checkhealth starfill` says why.')
  end
  local words = { known.state }
  for _, word in ipairs({ known.message or '', known.model or '', known.device or '' }) do
    if word ~= '' then
      words[#words + 1] = word
    end
  end
  server.notify(table.concat(words, ', '))
end

local function log()
  vim.cmd.tabedit(vim.fn.fnameescape(require('vim.lsp.log').get_filename()))
  vim.cmd.normal({ 'G', bang = true })
end

local function doctor()
  local command, missing = find.command()
  if not command then
    return server.notify(missing, vim.log.levels.ERROR)
  end
  local words = vim.tbl_map(function(word)
    return vim.fn.shellescape(word == '--stdio' and 'doctor' or word, true)
  end, command)
  vim.cmd('botright split | terminal ' .. table.concat(words, ' '))
end

local function names()
  local found = {}
  for _, model in ipairs(server.ask('workspace/executeCommand', { command = 'starfill.models' }) or {}) do
    found[#found + 1] = model.name
  end
  return found
end

local function scopes()
  return SCOPES
end

local SUBCOMMANDS = {
  enable = { complete = scopes, run = function(word) turn(word, true) end },
  disable = { complete = scopes, run = function(word) turn(word, false) end },
  toggle = { complete = scopes, run = function(word) turn(word, nil) end },
  restart = { run = server.restart },
  log = { run = log },
  doctor = { run = doctor },
  model = { complete = names, run = choose_model },
  ask = { run = function(_, command) ask(vim.trim(command.args:gsub('^%s*ask', '')), command) end },
  why = { run = why },
  status = { run = status },
}

function M.run(command)
  local subcommand = command.fargs[1] or 'status'
  local chosen = SUBCOMMANDS[subcommand]
  if not chosen then
    local known = vim.tbl_keys(SUBCOMMANDS)
    table.sort(known)
    local sentence = (':Starfill knows no "%s"; it knows %s.'):format(subcommand, table.concat(known, ', '))
    return server.notify(sentence, vim.log.levels.ERROR)
  end
  chosen.run(command.fargs[2], command)
end

function M.complete(lead, line)
  local words = vim.split(line:gsub('^.-Starfill%s+', ''), '%s+')
  local candidates = {}
  if #words == 1 then
    candidates = vim.tbl_keys(SUBCOMMANDS)
  elseif #words == 2 and SUBCOMMANDS[words[1]] and SUBCOMMANDS[words[1]].complete then
    candidates = SUBCOMMANDS[words[1]].complete()
  end
  candidates = vim.tbl_filter(function(each)
    return vim.startswith(each, lead)
  end, candidates)
  table.sort(candidates)
  return candidates
end

return M
