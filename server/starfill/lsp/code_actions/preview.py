"""Shows text that belongs in no file: in a read-only document that grows, or else in a finished file, or else in a
message.

Pages.open(title, where, capabilities) -> Page: grow(text) whenever there is more, end(text, where) once
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
import time
from collections import OrderedDict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from starfill.lsp.client.capabilities import Capabilities
from starfill.lsp.client.messages import show_message
from starfill.util.daemon_thread import in_daemon_thread

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

SCHEME = "starfill"
KEPT = 32  # virtual documents
GONE = "This text is no longer kept: ask for it again."
_NO_NAME = re.compile(r'[\\/:*?"<>|\x00-\x1f]+')  # characters that some file system doesn't allow
_NAME_LENGTH = 80  # characters
PAUSE = 0.2  # seconds between two refreshes


class Page(Protocol):
    """Where one text is shown: Markdown, always the whole text. One of `end` and `drop` comes last."""

    def grow(self, text: str) -> None: ...

    async def end(self, text: str, where: str) -> None:
        """The text is complete. where: the exact place of the code."""
        ...

    def drop(self, why: str) -> None:
        """Nothing more will follow."""
        ...


class Pages:
    """The pages of one session."""

    def __init__(self, client: LanguageServer) -> None:
        self._client = client
        self._numbers = count(1)
        self._texts: OrderedDict[str, str] = OrderedDict()  # the virtual documents, by URI
        self._folder: Path | None = None

    def open(self, title: str, where: str, capabilities: Capabilities) -> Page:
        """A page, of the kind that the client can show. where: the place of the code that the text is about."""
        name = _NO_NAME.sub(" ", f"{title} {where}")[:_NAME_LENGTH] + ".md"  # the name that the editor's tab shows
        number = next(self._numbers)
        if capabilities.virtual:
            return _VirtualPage(self._client, self, f"{SCHEME}:/{number}/{quote(name, safe='')}", title, where)
        if capabilities.shows:
            return _FilePage(self._client, self, f"{number} {name}", title)
        return _MessagePage(self._client)

    def text(self, uri: str) -> str:
        """The content of a virtual document."""
        return self._texts.get(uri, GONE)

    def put(self, uri: str, text: str) -> None:
        self._texts[uri] = text
        self._texts.move_to_end(uri)
        if len(self._texts) > KEPT:
            self._texts.popitem(last=False)

    def write(self, name: str, text: str) -> Path:
        """Write a file into a folder that only this user can read. Blocks. Raises OSError if the disk is full."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="starfill-"))
        file = self._folder / name
        file.write_text(text, encoding="utf-8")
        return file

    def close(self) -> None:
        """Remove the files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class _VirtualPage:
    def __init__(self, client: LanguageServer, pages: Pages, uri: str, title: str, where: str) -> None:
        self._client, self._pages, self._uri, self._title, self._where = client, pages, uri, title, where
        self._text = ""
        self._shown: asyncio.Task[bool] | None = None
        self._refreshed = 0.0  # when

    def grow(self, text: str) -> None:
        self._put(text)
        if self._shown is None:
            self._shown = asyncio.create_task(show(self._client, self._uri))
        elif time.monotonic() - self._refreshed >= PAUSE:
            self._refresh()

    async def end(self, text: str, where: str) -> None:
        self._where = where
        self.grow(text)
        assert self._shown is not None
        if await self._shown:
            self._refresh()
        else:
            await _MessagePage(self._client).end(text, where)

    def drop(self, why: str) -> None:
        if self._shown is not None:
            self._put(f"{self._text}\n\n*{why}*")
            self._refresh()

    def _put(self, text: str) -> None:
        self._text = text
        self._pages.put(self._uri, _titled(self._title, self._where, text))

    def _refresh(self) -> None:
        self._refreshed = time.monotonic()
        self._client.workspace_text_document_content_refresh(types.TextDocumentContentRefreshParams(self._uri))


class _BufferedPage:
    """A text that can only be shown when it is complete."""

    def grow(self, text: str) -> None: ...

    def drop(self, why: str) -> None: ...


class _FilePage(_BufferedPage):
    def __init__(self, client: LanguageServer, pages: Pages, name: str, title: str) -> None:
        self._client, self._pages, self._name, self._title = client, pages, name, title

    async def end(self, text: str, where: str) -> None:
        shown, whole = False, _titled(self._title, where, text)
        with contextlib.suppress(OSError):
            file = await asyncio.wrap_future(in_daemon_thread(lambda: self._pages.write(self._name, whole)))
            shown = await show(self._client, file.as_uri())
        if not shown:
            await _MessagePage(self._client).end(text, where)


class _MessagePage(_BufferedPage):
    def __init__(self, client: LanguageServer) -> None:
        self._client = client

    async def end(self, text: str, where: str) -> None:
        show_message(self._client, types.MessageType.Info, f"{where}\n{text}")


def _titled(title: str, where: str, text: str) -> str:
    return f"# {title}\n\n`{where}`\n\n{text.strip()}\n"


async def show(client: LanguageServer, uri: str) -> bool:
    """Ask the editor to show a document beside the user's. Returns whether it did."""
    try:
        result = await client.window_show_document_async(types.ShowDocumentParams(uri, take_focus=False))
    except JsonRpcException:
        return False
    return result.success
