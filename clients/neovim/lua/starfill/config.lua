--- The configuration of the language client: Neovim's own from 0.11 on, before that ours.
local compat = require('starfill.compat')
local find = require('starfill.find')
local options = require('starfill.options')

local M = { NAME = 'starfill' }

local ROOT_MARKERS = { '.git' }

local function start_program(dispatchers, config)
  local command, missing = find.command()
  if not command then
    error('Starfill: ' .. missing, 0)
  end
  config = config or {}
  return vim.lsp.rpc.start(command, dispatchers, { cwd = config.cmd_cwd, env = config.cmd_env })
end

--- Starts nothing where there is no server, and says so once. A file without a project is served as well.
local function root_dir(buf, on_dir)
  if vim.bo[buf].buftype ~= '' then
    return -- help, for one
  end
  local config = M.get()
  if config.cmd == start_program then
    local _, missing = find.command()
    if missing then
      return vim.notify_once('Starfill: ' .. missing, vim.log.levels.WARN)
    end
  end
  on_dir(vim.fs.root(buf, config.root_markers or ROOT_MARKERS))
end

--- One server, and one model in memory, for all projects.
local function reuse_client(client, config)
  if client.name ~= M.NAME or compat.call(client, 'is_stopped') then
    return false
  end
  local folders = client.workspace_folders or {}
  local known = vim.tbl_contains(folders, function(folder)
    return folder.name == config.root_dir
  end, { predicate = true })
  if config.root_dir and not known then
    local folder = { uri = vim.uri_from_fname(config.root_dir), name = config.root_dir }
    client.workspace_folders = vim.list_extend(vim.list_slice(folders), { folder })
    local event = { added = { folder }, removed = {} }
    compat.call(client, 'notify', 'workspace/didChangeWorkspaceFolders', { event = event })
  end
  return true
end

--- What holds where nobody has changed it.
function M.default()
  local status, documents = require('starfill.status'), require('starfill.documents')
  return {
    cmd = start_program,
    filetypes = options.current.filetypes,
    root_dir = root_dir,
    reuse_client = reuse_client,
    capabilities = vim.tbl_deep_extend('force', vim.lsp.protocol.make_client_capabilities(), {
      textDocument = { inlineCompletion = { dynamicRegistration = false } },
      workspace = { textDocumentContent = { dynamicRegistration = false } },
    }),
    handlers = vim.tbl_extend('error', status.handlers, documents.handlers),
    on_exit = status.ended,
  }
end

local ours ---@type table|nil for Neovim 0.10

function M.get()
  if vim.lsp.config then
    return vim.lsp.config[M.NAME]
  end
  ours = ours or M.default()
  return ours
end

--- For the servers that will be started.
function M.change(changes)
  if vim.lsp.config then
    vim.lsp.config(M.NAME, changes)
  else
    ours = vim.tbl_deep_extend('force', M.get(), changes)
  end
end

local function start(buf)
  local config = vim.tbl_extend('force', M.get(), { name = M.NAME })
  local filetype = vim.bo[buf].filetype
  if filetype == '' then
    return
  end
  if config.filetypes and not vim.tbl_contains(config.filetypes, filetype) then
    return
  end
  config.root_dir(buf, function(folder)
    config.root_dir = folder
    vim.lsp.start(config, { bufnr = buf, reuse_client = config.reuse_client })
  end)
end

--- Serve all buffers, those that are open and those to come.
function M.enable()
  if vim.lsp.enable then
    return vim.lsp.enable(M.NAME)
  end
  vim.api.nvim_create_autocmd('FileType', {
    group = vim.api.nvim_create_augroup('starfill.enable', {}),
    callback = function(event)
      start(event.buf)
    end,
  })
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(buf) then
      start(buf)
    end
  end
end

return M
