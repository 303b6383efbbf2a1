"""One client's session: the state of its editor, and everything that answers it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

from starfill.config.settings import Settings
from starfill.lsp.client.configuration import Configuration
from starfill.lsp.code_actions.code_actions import CodeActions
from starfill.lsp.completion_position import cursor_after
from starfill.lsp.completions import Completions
from starfill.lsp.documents.editor import Editor
from starfill.lsp.documents.enablement import Enabled, Switch
from starfill.lsp.models.backend import Backend
from starfill.lsp.models.instructor_loader import InstructorLoader
from starfill.lsp.models.model_loader import ModelLoader
from starfill.lsp.models.status import Status
from starfill.lsp.protocol import STATUS
from starfill.lsp.statistics import Statistics
from starfill.text.document import Change, Document
from starfill.util.daemon_thread import in_daemon_thread

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

LEAVING = 1.0  # seconds for saving states, while the editor waits for the server to end
logger = logging.getLogger(__name__)


class Session:
    """Called on the event loop only."""

    def __init__(self, client: LanguageServer, backend: Backend, fixed: Mapping[str, Any]) -> None:
        """fixed: see `Configuration`."""
        self.editor = Editor(client)
        self.status = Status(lambda report: client.protocol.notify(STATUS, report))
        self.models = ModelLoader(client, backend, self.status)
        self.statistics = Statistics()
        self.completions = Completions(self.editor, self.models, self.status, self.statistics)
        self._instructors = InstructorLoader(client, backend, self.models, self.status)
        self.code_actions = CodeActions(client, self.editor, self._instructors, self.status)
        self.configuration = Configuration(client, self._apply, fixed)

    def open(self, document: Document) -> None:
        self.editor.documents.put(document)

    def change(self, uri: str, version: int, changes: Sequence[Change]) -> None:
        document, encoding = self.editor.documents.get(uri), self.editor.encoding
        if document is None:
            logger.warning("A change of %s was ignored: the document is not open", uri)
            return
        changed = document.edited(changes, version, encoding)
        self.editor.documents.put(changed)
        self.code_actions.changed(document, changes)
        cursor, assistant = cursor_after(changed, changes, encoding), self.models.assistant
        if assistant is not None and cursor is not None and self.editor.why_silent(uri) is None:
            joined = self.editor.joined(changed)
            assistant.changed(joined.whole, joined.start + cursor)

    def close(self, uri: str) -> None:
        self.editor.documents.drop(uri)
        self.completions.closed(uri)
        self.code_actions.closed(uri)
        if self.editor.documents.home(uri) == uri:
            self.models.forget(uri)

    def close_notebook(self, uri: str) -> None:
        for cell in self.editor.documents.cells(uri):
            self.close(cell.uri)
        self.editor.documents.remove(uri)
        self.models.forget(uri)

    def end(self) -> None:
        """The client has gone: stop everything, and save the states that may be kept. Blocks for at most a second or
        two.
        """
        self.code_actions.pages.close()
        if self.editor.settings.saved_state_bytes and self.models.assistant is not None:
            wait([in_daemon_thread(self.models.assistant.close)], LEAVING)

    def switch(self, switch: Switch) -> Enabled:
        """Turn completions on or off. Raises RequestError if that makes no sense."""
        enabled = self.editor.switch(switch)
        self.status.pause(self.editor.paused)
        return enabled

    def _apply(self, settings: Settings) -> None:
        self.editor.configure(settings)
        self.status.pause(self.editor.paused)
        self.models.use(settings)
        self._instructors.use(settings)
