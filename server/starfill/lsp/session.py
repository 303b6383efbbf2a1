"""One client's session: its open documents and what it can do; suggestions for a place, or the reason why not."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.capabilities import get_capability

from starfill.assist.completion import Figures
from starfill.background import in_daemon_thread
from starfill.errors import StarfillError
from starfill.lsp.backend import Backend
from starfill.lsp.configuration import Configuration
from starfill.lsp.documents import Documents
from starfill.lsp.instruct.code_actions import CodeActions
from starfill.lsp.instruct.instructors import Instructors
from starfill.lsp.loading import Loader
from starfill.lsp.place import Place, cursor_after
from starfill.lsp.protocol import STATUS
from starfill.lsp.statistics import Statistics
from starfill.lsp.status import SOON, Status
from starfill.lsp.switches import Enabled, Subject, Switches, Turn
from starfill.settings import Settings
from starfill.text.document import Change, Document
from starfill.text.position import Edit, Encoding, Position, Range

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

LEAVING = 1.0  # seconds to save states in, while the editor waits for the server's end
logger = logging.getLogger(__name__)


class Session:
    """Event loop only. Documents are immutable: who holds one has a snapshot."""

    def __init__(self, client: LanguageServer, backend: Backend, fixed: Mapping[str, Any]) -> None:
        """fixed: see `Configuration`."""
        self._client = client
        self._reasons: dict[str, str] = {}  # why the last request for a document did not reach the assistant
        self._switches = Switches()
        self.documents = Documents()
        self.statistics = Statistics()
        self.settings = Settings()
        self.status = Status(lambda report: client.protocol.notify(STATUS, report))
        self.loader = Loader(client, backend, self.status)
        self._instructors = Instructors(client, backend, self.loader, self.status)
        self.code_actions = CodeActions(client, self, self._instructors)
        self.configuration = Configuration(client, self._apply, fixed)

    @property
    def capabilities(self) -> types.ClientCapabilities:
        return self._client.client_capabilities

    @property
    def has_inline_completion(self) -> bool:
        return get_capability(self.capabilities, "text_document.inline_completion") is not None

    @property
    def encoding(self) -> Encoding:
        return Encoding(self._client.server_capabilities.position_encoding or Encoding.UTF16)

    @property
    def folders(self) -> list[str]:
        """The URIs of the workspace's folders."""
        workspace = self._client.workspace
        return list(workspace.folders) or ([workspace.root_uri] if workspace.root_uri else [])

    def open(self, document: Document) -> None:
        self.documents.put(document)

    def change(self, uri: str, version: int, changes: Sequence[Change]) -> None:
        document = self.snapshot(uri)
        if document is None:
            logger.warning("A change of %s was ignored: the document is not open", uri)
            return
        changed = document.edited(changes, version, self.encoding)
        self.documents.put(changed)
        self.code_actions.changed(document, changes)
        cursor = cursor_after(changed, changes, self.encoding)
        if self.loader.assistant is not None and cursor is not None and self._off(uri) is None:
            part = self.documents.part(changed)
            self.loader.assistant.changed(part.whole, part.start + cursor)

    def close(self, uri: str) -> None:
        self.documents.drop(uri)
        self._reasons.pop(uri, None)
        self.statistics.closed(uri)
        self.code_actions.closed(uri)
        if self.loader.assistant is not None and self.documents.home(uri) == uri:
            self.loader.assistant.forget(uri)

    def close_notebook(self, uri: str) -> None:
        for cell in self.documents.cells(uri):
            self.close(cell.uri)
        self.documents.remove(uri)
        if self.loader.assistant is not None:
            self.loader.assistant.forget(uri)

    def end(self) -> None:
        """The client has gone: leave nothing behind but the states that are to be kept. Blocks, though not for long."""
        self.code_actions.pages.close()
        if self.settings.saved_state_bytes and self.loader.assistant is not None:
            wait([in_daemon_thread(self.loader.assistant.close)], LEAVING)

    def snapshot(self, uri: str) -> Document | None:
        return self.documents.get(uri)

    def place(self, uri: str, position: Position, selected: tuple[Range, str] | None = None) -> Place | None:
        """Where to complete, in the document as it is now; None with a reason kept where nothing may be suggested."""
        document = self.snapshot(uri)
        reason = self._refusal(document, uri, position)
        if document is None or reason is not None:
            self._reasons[uri] = reason or ""
            return None
        offset = document.offset_at(position, self.encoding)
        if selected is None:
            return Place.of(document, offset)
        where, text = selected
        start, end = document.offset_at(where.start, self.encoding), document.offset_at(where.end, self.encoding)
        return Place.of(document, offset, Edit(min(start, end), max(start, end), text))

    def _refusal(self, document: Document | None, uri: str, position: Position) -> str | None:
        if document is None:
            return f"the document {uri} is not open"
        if position.line >= document.line_count:
            return f"line {position.line} is outside the document, which has {document.line_count} lines"
        if self.loader.assistant is None:
            return self.status.why_not
        return self._off(uri)

    def _off(self, uri: str) -> str | None:
        """Why nothing may be suggested for an open document, whatever is in it."""
        if self.documents.is_prose(uri):
            return "the cell holds no code"
        return self.enabled(uri).reason or None

    def excluded(self, document: Document) -> str | None:
        """Why a document is not looked at at all."""
        return self.settings.enabled_for(self.documents.home(document.uri), document.language_id)

    async def complete(self, place: Place, *, automatic: bool) -> list[Edit]:
        """Suggestions as edits of `place.shown`; none, with a reason kept, on any failure or when it has moved on."""
        assistant, uri, part = self.loader.assistant, place.document.uri, self.documents.part(place.document)
        if assistant is None:
            self._reasons[uri] = self.status.why_not
            return []
        self._reasons.pop(uri, None)
        self.statistics.asked()
        try:
            with self.status.busy(after=SOON):
                completion = await assistant.complete(part.whole, part.start + place.offset, automatic=automatic)
        except StarfillError as error:
            self._reasons[uri] = str(error)
            return []
        except Exception as error:
            logger.exception("A completion failed")
            self._reasons[uri] = f"internal error: {type(error).__name__}: {error}"
            return []
        if self.snapshot(uri) is not place.shown:
            self._reasons[uri] = "the document has changed since it was asked for"
            return []
        if (off := self._off(uri)) is not None:
            self._reasons[uri] = off
            return []
        own = [edit for each in completion.items if (edit := part.own(each)) is not None]
        edits = [fitting for edit in own if (fitting := place.fit(edit)) is not None]
        if edits:
            self.statistics.offered(uri, edits, reused=completion.figures.source == "reuse")
        return edits

    def accepted(self, uri: str) -> None:
        """A suggestion for this document has been inserted."""
        self.statistics.accepted(uri, self.snapshot(uri))
        if self.loader.assistant is not None:
            self.loader.assistant.accepted(self.documents.home(uri))

    def enabled(self, uri: str) -> Enabled:
        """Whether completions are on for a document; "" for none in particular."""
        return self._switches.state(self._subject(uri), self.settings)

    def turn(self, turn: Turn) -> Enabled:
        """Turn completions on or off; RequestError where that can't be meant."""
        self._switches.turn(turn, self._subject(turn.uri), self.settings)
        self.status.pause(self._switches.paused(self.settings))
        return self.enabled(turn.uri)

    def _subject(self, uri: str) -> Subject:
        document = self.snapshot(uri)
        return Subject(self.documents.home(uri), document.language_id if document is not None else "")

    def last(self, uri: str) -> Figures:
        """What the last request for a document came to."""
        assistant, reason = self.loader.assistant, self._reasons.get(uri)
        if reason is None and assistant is not None and (figures := assistant.last(self.documents.home(uri))):
            return figures
        return Figures(reason=reason or "nothing was asked for this document yet")

    def _apply(self, settings: Settings) -> None:
        before, self.settings = self.settings, settings
        self._switches.changed(before, settings)
        self.status.pause(self._switches.paused(settings))
        self.loader.use(settings)
        self._instructors.use(settings)
