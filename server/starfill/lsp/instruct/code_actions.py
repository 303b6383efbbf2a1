"""Code actions as the session offers them: listed, resolved to an edit, or carried out as a command."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from starfill.assist.instruct.actions import Action, Placement, actions_for
from starfill.errors import StarfillError
from starfill.lsp import convert
from starfill.lsp.instruct.abilities import Abilities
from starfill.lsp.instruct.applying import FileEdit, document_edit, note, workspace_edit
from starfill.lsp.instruct.carrying_out import CarryingOut, Done, Task
from starfill.lsp.instruct.instructors import Instructors
from starfill.lsp.instruct.listing import Place, listing
from starfill.lsp.instruct.order import order_from
from starfill.lsp.instruct.run import Stopped
from starfill.lsp.instruct.showing import Page, Pages, show
from starfill.lsp.instruct.tests_edit import home_for, tests_edit, uri_name
from starfill.lsp.telling import tell
from starfill.text.document import Change, Document
from starfill.text.position import Span

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

    from starfill.lsp.session import Session


class CodeActions:
    """Event loop only."""

    def __init__(self, client: LanguageServer, session: Session, instructors: Instructors) -> None:
        self._client, self._session, self._instructors = client, session, instructors
        self._work = CarryingOut(client, session, instructors)
        self._commands: set[asyncio.Task[None]] = set()
        self.pages = Pages(client)

    @property
    def _abilities(self) -> Abilities:
        return Abilities.of(self._session.capabilities)

    def list(self, place: Place) -> list[types.CodeAction | types.Command]:
        settings, document = self._session.settings, place.document
        if place.is_idle and not place.context.diagnostics:
            return []
        excluded = self._session.excluded(document)
        selection = convert.span_from(document, place.range, self._session.encoding)

        def reason(action: Action) -> str | None:
            return excluded or self._instructors.refusal(document, selection, action)

        return listing(place, actions_for(settings, document.language_id), reason, self._abilities)

    async def resolve(self, action: types.CodeAction) -> types.CodeAction:
        """The action with its edit; without one, and the user is told why, where there is nothing to apply.

        Then without its data too: some editors (eglot) resolve an action again as long as it has that and no edit.
        """
        if action.data is None or action.edit is not None:
            return action
        try:
            done = await self._work.outcome(self._work.understood(order_from([action.data])))
        except StarfillError as error:
            tell(self._client, types.MessageType.Warning, str(error))
            action.data = None
            return action
        except Stopped:
            action.data = None
            return action
        action.edit = self._edit(done)
        if done.outcome.warning:
            action.title = f"{action.title} ({done.outcome.warning})"
        return action

    def command(self, arguments: Sequence[Any] | None, token: types.ProgressToken | None) -> None:
        """Begins to carry out an order; RequestError where it can't be understood. What comes of it, the user sees."""
        task = self._work.understood(order_from(arguments))
        command = asyncio.create_task(self._command(task, token))
        self._commands.add(command)
        command.add_done_callback(self._commands.discard)

    def changed(self, before: Document, changes: Sequence[Change]) -> None:
        self._work.changed(before, changes)

    def closed(self, uri: str) -> None:
        self._work.closed(uri)
        self._instructors.forget(uri)

    async def _command(self, task: Task, token: types.ProgressToken | None) -> None:
        try:
            match task.action.placement:
                case Placement.SHOW:
                    await self._show(task, token)
                case Placement.TESTS:
                    await self._put_tests(task, await self._work.outcome(task, token=token))
                case _:
                    done = await self._work.outcome(task, token=token)
                    await self._apply(self._edit(done), task)
        except StarfillError as error:
            tell(self._client, types.MessageType.Warning, str(error))
        except Stopped:
            pass

    def _edit(self, done: Done) -> types.WorkspaceEdit:
        return self._as_edit(document_edit(done.document, done.edits, self._session.encoding), done)

    def _as_edit(self, file: FileEdit, done: Done) -> types.WorkspaceEdit:
        """As the client can take it; where that can't carry a warning, a message does."""
        title, warning, abilities = done.outcome.request.action.title, done.outcome.warning, self._abilities
        if warning and not abilities.annotations:
            tell(self._client, types.MessageType.Warning, f"{_plain(title)}: {warning}")
        return workspace_edit(file, note(title, done.model, warning), abilities)

    async def _apply(self, edit: types.WorkspaceEdit, task: Task) -> bool:
        """Ask the editor to apply it. ALE does so although it declares that it can't; it gives no answer either."""
        title = task.action.title
        try:
            result = await self._client.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, title))
        except JsonRpcException as error:
            raise StarfillError(f"{_plain(title)}: the editor can't apply the edit: {error.message}") from error
        if not result.applied:
            why = f": {result.failure_reason}" if result.failure_reason else ""
            tell(self._client, types.MessageType.Info, f"{_plain(title)}: the editor has not applied the edit{why}")
        return result.applied

    async def _show(self, task: Task, token: types.ProgressToken | None) -> None:
        page = self._page(task)
        try:
            done = await self._work.outcome(task, lambda text, tokens: page.grow(text), token)
        except StarfillError as error:
            page.drop(str(error))
            raise
        except Stopped:
            page.drop("stopped")
            raise
        outcome = done.outcome
        text = f"{outcome.text}\n\n*{outcome.warning}*" if outcome.warning else outcome.text
        await page.end(text, _where(task.document, outcome.span))

    def _page(self, task: Task) -> Page:
        where = _where(task.document, task.selection)
        return self.pages.open(_plain(task.action.title), where, self._abilities)

    async def _put_tests(self, task: Task, done: Done) -> None:
        """Into the project's tests, else into a new document; shown as text by an editor that can do neither."""
        abilities, session = self._abilities, self._session
        home = await home_for(task.document, session.folders)
        file = tests_edit(task.document, done.outcome.text, home, session.documents.at, session.encoding, abilities)
        if file is None:
            await self._page(task).end(done.outcome.text, _where(task.document, done.outcome.span))
        elif await self._apply(self._as_edit(file, done), task) and abilities.shows:
            await show(self._client, file.uri)


def _where(document: Document, span: Span) -> str:
    """The place of code in words: file:line-line, counted from 1."""
    first, last = document.line_of(span.start) + 1, document.line_of(max(span.start, span.end - 1)) + 1
    lines = str(first) if first == last else f"{first}-{last}"
    return f"{uri_name(document.uri)}:{lines}"


def _plain(title: str) -> str:
    """A title without our name, where that is said already."""
    return title.removeprefix("Starfill: ")
