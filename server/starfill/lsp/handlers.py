"""The handlers for documents and completions: each takes a snapshot, makes one call and converts the result."""

from __future__ import annotations

from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from starfill.errors import RequestError
from starfill.lsp.client import convert
from starfill.lsp.documents.enablement import switch_from, uri_from
from starfill.lsp.language_server import Server
from starfill.lsp.models.status import ServerStatus
from starfill.lsp.protocol import LastCompletionParams


def initialize(ls: Server, params: types.InitializeParams) -> None:
    ls.session.configuration.initial(params.initialization_options)


async def initialized(ls: Server, params: types.InitializedParams) -> None:
    ls.session.status.set(ServerStatus("starting"))
    ls.session.configuration.watch()
    await ls.session.configuration.refresh()
    ls.protocol.rehearse()  # meanwhile the model is being loaded


async def did_change_configuration(ls: Server, params: types.DidChangeConfigurationParams) -> None:
    await ls.session.configuration.pushed(params.settings)


def did_open(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    ls.session.open(convert.document_from(params.text_document))


def did_change(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    item = params.text_document
    ls.session.change(item.uri, item.version, convert.changes_from(params.content_changes))


def did_close(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    ls.session.close(params.text_document.uri)


async def inline_completion(ls: Server, params: types.InlineCompletionParams) -> types.InlineCompletionList:
    completions, context = ls.session.completions, params.context
    selected = context.selected_completion_info
    at = completions.position(
        params.text_document.uri,
        convert.position_from(params.position),
        (convert.range_from(selected.range), selected.text) if selected else None,
    )
    if at is None:
        return types.InlineCompletionList([])
    automatic = context.trigger_kind == types.InlineCompletionTriggerKind.Automatic
    edits = await completions.complete(at, automatic=automatic)
    shown = at.snapshot
    return types.InlineCompletionList([convert.inline_item(shown.document, edit, shown.encoding) for edit in edits])


async def completion(ls: Server, params: types.CompletionParams) -> types.CompletionList:
    """At most one item, for editors without inline completion."""
    completions = ls.session.completions
    if ls.session.editor.capabilities.inline:
        return types.CompletionList(is_incomplete=False, items=[])
    at = completions.position(params.text_document.uri, convert.position_from(params.position))
    if at is None:
        return types.CompletionList(is_incomplete=True, items=[])
    edits, shown = await completions.complete(at, automatic=True), at.snapshot
    items = [
        convert.completion_item(shown.document, at.offset, edit, shown.encoding, shown.capabilities)
        for edit in edits[:1]
    ]
    return types.CompletionList(is_incomplete=True, items=items)


def accepted(ls: Server, uri: str) -> None:
    """The command that an editor runs after it has inserted a suggestion."""
    ls.session.completions.accepted(uri)


def set_enabled(ls: Server, *arguments: Any) -> dict[str, Any]:
    """The command that turns completions on or off until the server ends. Its answer is that of `enabled`."""
    try:
        return ls.session.switch(switch_from(arguments)).as_json()
    except RequestError as error:
        raise JsonRpcInvalidParams(str(error)) from None


def enabled(ls: Server, *arguments: Any) -> dict[str, Any]:
    """The command that asks whether completions are on, and why if they aren't."""
    try:
        return ls.session.editor.enabled(uri_from(arguments)).as_json()
    except RequestError as error:
        raise JsonRpcInvalidParams(str(error)) from None


async def models(ls: Server) -> list[dict[str, Any]]:
    """The command that lists the models that can be chosen."""
    return await ls.session.models.models()


def pull_model(ls: Server, repository: str) -> None:
    """The command that downloads a model. Answers at once, since some editors are blocked until it does."""
    ls.session.models.pull(repository)


def last_completion(ls: Server, params: LastCompletionParams) -> dict[str, Any]:
    return ls.session.completions.last(params.uri).as_json()


def statistics(ls: Server, params: Any) -> dict[str, int]:
    return ls.session.statistics.counts.as_json()


def leave(ls: Server, params: None) -> None:
    ls.leave(ls.protocol.exit_code)
