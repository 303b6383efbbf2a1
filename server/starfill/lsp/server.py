"""The language server: what it announces, and which handler gets what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lsprotocol import types

from starfill.lsp import action_handlers as instructions
from starfill.lsp import handlers, notebooks
from starfill.lsp.client import convert
from starfill.lsp.code_actions.listing import KINDS
from starfill.lsp.code_actions.request import INSTRUCT
from starfill.lsp.documents.enablement import ENABLED, SET_ENABLED
from starfill.lsp.language_server import Server
from starfill.lsp.models.backend import Backend
from starfill.lsp.protocol import LAST_COMPLETION, MODELS, PULL_MODEL, STATISTICS

FEATURES: dict[str, Callable[..., Any]] = {
    types.INITIALIZE: handlers.initialize,
    types.INITIALIZED: handlers.initialized,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: handlers.did_change_configuration,
    types.TEXT_DOCUMENT_DID_OPEN: handlers.did_open,
    types.TEXT_DOCUMENT_DID_CHANGE: handlers.did_change,
    types.TEXT_DOCUMENT_DID_CLOSE: handlers.did_close,
    types.NOTEBOOK_DOCUMENT_DID_OPEN: notebooks.did_open,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE: notebooks.did_change,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE: notebooks.did_close,
    types.TEXT_DOCUMENT_COMPLETION: handlers.completion,
    types.TEXT_DOCUMENT_INLINE_COMPLETION: handlers.inline_completion,
    types.TEXT_DOCUMENT_CODE_ACTION: instructions.code_action,
    types.CODE_ACTION_RESOLVE: instructions.resolve,
    types.WORKSPACE_TEXT_DOCUMENT_CONTENT: instructions.text_document_content,
    LAST_COMPLETION: handlers.last_completion,
    STATISTICS: handlers.statistics,
    types.EXIT: handlers.leave,
}
COMMANDS: dict[str, Callable[..., Any]] = {
    convert.ACCEPTED: handlers.accepted,
    PULL_MODEL: handlers.pull_model,
    INSTRUCT: instructions.instruct,
    SET_ENABLED: handlers.set_enabled,
    ENABLED: handlers.enabled,
    MODELS: handlers.models,
}
# An editor asks for inline completion only if options are announced, even empty ones. An editor without it opens its
# popup by itself in words only; these characters are where code continues without a word having begun.
OPTIONS = {
    types.TEXT_DOCUMENT_INLINE_COMPLETION: types.InlineCompletionOptions(),
    types.TEXT_DOCUMENT_COMPLETION: types.CompletionOptions(trigger_characters=list(".([,=:")),
    types.TEXT_DOCUMENT_CODE_ACTION: types.CodeActionOptions(KINDS, resolve_provider=True, work_done_progress=True),
}


def create_server(backend: Backend, fixed: Mapping[str, Any]) -> Server:
    """Needs a running event loop. fixed: settings that no client changes, by their JSON names."""
    server = Server(backend, fixed, notebooks.SYNC)
    for method, handler in FEATURES.items():
        server.feature(method, OPTIONS.get(method))(handler)
    for command, handler in COMMANDS.items():
        server.command(command)(handler)
    return server
