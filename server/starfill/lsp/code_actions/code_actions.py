"""The code actions of a session: they are listed, resolved to an edit, or run as a command."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from starfill.assist.instruct.actions import Action, Placement, actions_for
from starfill.errors import StarfillError
from starfill.lsp.client import convert
from starfill.lsp.client.capabilities import Capabilities
from starfill.lsp.client.messages import show_message
from starfill.lsp.client.uris import uri_name
from starfill.lsp.code_actions.applying import FileEdit, document_edit, note, workspace_edit
from starfill.lsp.code_actions.listing import ListRequest, listing
from starfill.lsp.code_actions.preview import Page, Pages, show
from starfill.lsp.code_actions.request import request_from
from starfill.lsp.code_actions.run import Stopped
from starfill.lsp.code_actions.runner import BoundRequest, FinishedRun, Runner
from starfill.lsp.code_actions.tests_edit import home_for, tests_edit
from starfill.lsp.documents.editor import Editor, Snapshot
from starfill.lsp.models.instructor_loader import InstructorLoader
from starfill.lsp.models.status import Status
from starfill.text.document import Change, Document
from starfill.text.position import Span

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer


class CodeActions:
    """Called on the event loop only."""

    def __init__(self, client: LanguageServer, editor: Editor, instructors: InstructorLoader, status: Status) -> None:
        self._client, self._editor, self._instructors = client, editor, instructors
        self._runner = Runner(client, editor, instructors, status)
        self._commands: set[asyncio.Task[None]] = set()
        self.pages = Pages(client)

    def list(self, asked: ListRequest) -> list[types.CodeAction | types.Command]:
        snapshot, document = asked.snapshot, asked.snapshot.document
        if asked.is_idle and not asked.context.diagnostics:
            return []
        excluded = self._editor.refusal(document)
        selection = convert.span_from(document, asked.range, snapshot.encoding)

        def reason(action: Action) -> str | None:
            return excluded or self._instructors.refusal(document, selection, action)

        return listing(asked, actions_for(snapshot.settings, document.language_id), reason)

    async def resolve(self, action: types.CodeAction) -> types.CodeAction:
        """The action with its edit. Without an edit if there is nothing to apply; the user is then told why.

        The data is removed too: some editors (eglot) resolve an action again as long as it has data and no edit.
        """
        if action.data is None or action.edit is not None:
            return action
        try:
            bound = self._runner.bound(request_from([action.data]))
            done = await self._runner.run(bound)
        except StarfillError as error:
            show_message(self._client, types.MessageType.Warning, str(error))
            action.data = None
            return action
        except Stopped:
            action.data = None
            return action
        action.edit = self._edit(done, bound.snapshot)
        if done.outcome.warning:
            action.title = f"{action.title} ({done.outcome.warning})"
        return action

    def command(self, arguments: Sequence[Any] | None, token: types.ProgressToken | None) -> None:
        """Start to carry out a request; RequestError if it can't be understood. The user sees what comes of it."""
        bound = self._runner.bound(request_from(arguments))
        command = asyncio.create_task(self._command(bound, token))
        self._commands.add(command)
        command.add_done_callback(self._commands.discard)

    def changed(self, before: Document, changes: Sequence[Change]) -> None:
        self._runner.changed(before, changes)

    def closed(self, uri: str) -> None:
        self._runner.closed(uri)
        self._instructors.forget(uri)

    async def _command(self, bound: BoundRequest, token: types.ProgressToken | None) -> None:
        try:
            match bound.instruction.action.placement:
                case Placement.SHOW:
                    await self._show(bound, token)
                case Placement.TESTS:
                    await self._put_tests(bound, await self._runner.run(bound, token=token))
                case _:
                    done = await self._runner.run(bound, token=token)
                    await self._apply(self._edit(done, bound.snapshot), bound.instruction.action)
        except StarfillError as error:
            show_message(self._client, types.MessageType.Warning, str(error))
        except Stopped:
            pass

    def _edit(self, done: FinishedRun, snapshot: Snapshot) -> types.WorkspaceEdit:
        return self._as_edit(document_edit(done.document, done.edits, snapshot.encoding), done, snapshot.capabilities)

    def _as_edit(self, file: FileEdit, done: FinishedRun, capabilities: Capabilities) -> types.WorkspaceEdit:
        """The edit in the form that the client accepts. A warning that it can't show is sent as a message."""
        title, warning = done.outcome.instruction.action.title, done.outcome.warning
        if warning and not capabilities.annotations:
            show_message(self._client, types.MessageType.Warning, f"{_plain(title)}: {warning}")
        return workspace_edit(file, note(title, done.model, warning), capabilities)

    async def _apply(self, edit: types.WorkspaceEdit, action: Action) -> bool:
        """Ask the editor to apply an edit. ALE does so although it declares that it can't, and sends no answer."""
        title = action.title
        try:
            result = await self._client.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, title))
        except JsonRpcException as error:
            raise StarfillError(f"{_plain(title)}: the editor can't apply the edit: {error.message}") from error
        if not result.applied:
            why = f": {result.failure_reason}" if result.failure_reason else ""
            show_message(
                self._client, types.MessageType.Info, f"{_plain(title)}: the editor has not applied the edit{why}"
            )
        return result.applied

    async def _show(self, bound: BoundRequest, token: types.ProgressToken | None) -> None:
        page = self._page(bound)
        try:
            done = await self._runner.run(bound, lambda text, tokens: page.grow(text), token)
        except StarfillError as error:
            page.drop(str(error))
            raise
        except Stopped:
            page.drop("stopped")
            raise
        outcome = done.outcome
        text = f"{outcome.text}\n\n*{outcome.warning}*" if outcome.warning else outcome.text
        await page.end(text, _where(bound.instruction.document, outcome.span))

    def _page(self, bound: BoundRequest) -> Page:
        instruction = bound.instruction
        where = _where(instruction.document, instruction.selection)
        return self.pages.open(_plain(instruction.action.title), where, bound.snapshot.capabilities)

    async def _put_tests(self, bound: BoundRequest, done: FinishedRun) -> None:
        """Put tests into the project's test file, or into a new document; show them as text in an editor that can do
        neither.
        """
        instruction, snapshot = bound.instruction, bound.snapshot
        document, text, capabilities = instruction.document, done.outcome.text, snapshot.capabilities
        home = await home_for(document, self._editor.folders)
        file = tests_edit(document, text, home, self._editor.documents.at, snapshot.encoding, capabilities)
        if file is None:
            await self._page(bound).end(text, _where(document, done.outcome.span))
        elif await self._apply(self._as_edit(file, done, capabilities), instruction.action) and capabilities.shows:
            await show(self._client, file.uri)


def _where(document: Document, span: Span) -> str:
    """The place of code in words: file:line-line, counted from 1."""
    first, last = document.line_of(span.start) + 1, document.line_of(max(span.start, span.end - 1)) + 1
    lines = str(first) if first == last else f"{first}-{last}"
    return f"{uri_name(document.uri)}:{lines}"


def _plain(title: str) -> str:
    """A title without our name, for messages that show the name anyway."""
    return title.removeprefix("Starfill: ")
