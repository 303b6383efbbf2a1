"""The handlers for code actions and instructions."""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from starfill.errors import RequestError
from starfill.lsp.code_actions.listing import ListRequest
from starfill.lsp.language_server import Server


def code_action(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction | types.Command]:
    snapshot = ls.session.editor.snapshot(params.text_document.uri)
    if snapshot is None:
        return []
    return ls.session.code_actions.list(ListRequest(snapshot, params.range, params.context))


async def resolve(ls: Server, params: types.CodeAction) -> types.CodeAction:
    return await ls.session.code_actions.resolve(params)


def instruct(ls: Server, params: types.ExecuteCommandParams) -> None:
    """Answers at once, before the instruction is carried out: many editors are blocked until a command is answered."""
    try:
        ls.session.code_actions.command(params.arguments, params.work_done_token)
    except RequestError as error:
        raise JsonRpcInvalidParams(str(error)) from None


def text_document_content(ls: Server, params: types.TextDocumentContentParams) -> types.TextDocumentContentResult:
    return types.TextDocumentContentResult(ls.session.code_actions.pages.text(params.uri))
