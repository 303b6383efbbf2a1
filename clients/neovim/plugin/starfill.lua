if vim.g.loaded_starfill then
  return
end
vim.g.loaded_starfill = true

if vim.fn.has('nvim-0.10') == 0 then
  vim.notify('Starfill: this plugin needs Neovim 0.10 or newer.', vim.log.levels.ERROR)
  return
end

vim.api.nvim_create_user_command('Starfill', function(command)
  require('starfill.command').run(command)
end, {
  nargs = '*',
  range = true,
  desc = 'Starfill: turn suggestions on and off, ask about code, choose a model',
  complete = function(...)
    return require('starfill.command').complete(...)
  end,
})

vim.api.nvim_create_autocmd('LspAttach', {
  group = vim.api.nvim_create_augroup('starfill', {}),
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'starfill' then
      require('starfill.inline').attach(event.buf)
      require('starfill.keys').attach(event.buf)
    end
  end,
})
