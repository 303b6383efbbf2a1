"""The state of the editor: its open documents, its settings, its capabilities; and a frozen snapshot of all that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from starfill.config.access_policy import AccessPolicy
from starfill.config.settings import Settings
from starfill.lsp.client.capabilities import Capabilities
from starfill.lsp.documents.documents import Documents
from starfill.lsp.documents.enablement import Enabled, Enablement, Subject, Switch
from starfill.text.document import Document
from starfill.text.joined_cells import JoinedCells
from starfill.text.position import Encoding

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a handler takes before its first `await`. After that it reads no live state. The access policy is the
    exception: it is asked again wherever text leaves.

    joined: the document with the other cells of its notebook. encoding: the unit in which the client counts characters.
    """

    document: Document
    joined: JoinedCells
    encoding: Encoding
    capabilities: Capabilities
    settings: Settings


class Editor:
    """Called on the event loop only. Documents are immutable: whoever holds one has that version."""

    def __init__(self, client: LanguageServer) -> None:
        self._client = client
        self.documents = Documents()
        self.enablement = Enablement()
        self.settings = Settings()

    def snapshot(self, uri: str) -> Snapshot | None:
        """A snapshot of a document in its present version; None if it isn't open."""
        document = self.documents.get(uri)
        if document is None:
            return None
        return Snapshot(document, self.joined(document), self.encoding, self.capabilities, self.settings)

    def joined(self, document: Document) -> JoinedCells:
        return self.documents.joined(document)

    def is_current(self, document: Document) -> bool:
        """Whether this is the document's present version."""
        return self.documents.get(document.uri) is document

    @cached_property
    def capabilities(self) -> Capabilities:
        """Known once the client has sent `initialize`."""
        return Capabilities.of(self._client.client_capabilities)

    @property
    def encoding(self) -> Encoding:
        return Encoding(self._client.server_capabilities.position_encoding or Encoding.UTF16)

    @property
    def folders(self) -> list[str]:
        """The URIs of the workspace's folders."""
        workspace = self._client.workspace
        return list(workspace.folders) or ([workspace.root_uri] if workspace.root_uri else [])

    def refusal(self, document: Document) -> str | None:
        """Why a document may not be read at present; None if it may."""
        return AccessPolicy.of(self.settings).refusal(self.documents.home(document.uri), document.language_id)

    def why_silent(self, uri: str) -> str | None:
        """Why nothing may be suggested for an open document at present, whatever it contains; None if something may."""
        if self.documents.is_prose(uri):
            return "the cell holds no code"
        return self.enabled(uri).reason or None

    def enabled(self, uri: str) -> Enabled:
        """Whether completions are on for a document; "" for no document in particular."""
        return self.enablement.state(self._subject(uri), self.settings)

    def switch(self, switch: Switch) -> Enabled:
        """Turn completions on or off. Raises RequestError if that makes no sense."""
        self.enablement.switch(switch, self._subject(switch.uri), self.settings)
        return self.enabled(switch.uri)

    def configure(self, settings: Settings) -> None:
        """The settings were changed."""
        before, self.settings = self.settings, settings
        self.enablement.configure(before, settings)

    @property
    def paused(self) -> str:
        """Why completions are off everywhere; "" if they are not."""
        return self.enablement.paused(self.settings)

    def _subject(self, uri: str) -> Subject:
        document = self.documents.get(uri)
        return Subject(self.documents.home(uri), document.language_id if document is not None else "")
