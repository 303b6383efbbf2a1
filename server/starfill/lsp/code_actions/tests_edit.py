"""Generated tests as an edit: of the project's test file, of a new file, or of a document without a name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from starfill.lsp.client.capabilities import Capabilities
from starfill.lsp.client.uris import path_of, uri_name
from starfill.lsp.code_actions.applying import FileEdit, document_edit
from starfill.lsp.code_actions.tests_file import Home, appended, file_name, home_of
from starfill.text.document import Document
from starfill.text.position import Edit, Encoding
from starfill.util.daemon_thread import in_daemon_thread


async def home_for(document: Document, folders: Sequence[str]) -> Home | None:
    """Where tests for a document belong, given the URIs of the workspace folders."""
    path, roots = path_of(document.uri), [root for folder in folders if (root := path_of(folder)) is not None]
    if path is None:
        return None
    return await asyncio.wrap_future(in_daemon_thread(lambda: home_of(path, document.language_id, roots)))


def tests_edit(
    document: Document,
    tests: str,
    home: Home | None,
    opened: Callable[[Path], Document | None],
    encoding: Encoding,
    capabilities: Capabilities,
) -> FileEdit | None:
    """An edit that adds `tests` for `document` at the end of `home`; None if the client can take them in no form.

    opened: returns the document of a path if it is open in the editor.
    """
    if home is not None:
        uri, language = home.path.as_uri(), document.language_id
        there = opened(home.path)
        if there is not None or home.text is not None:
            there = there or Document.open(uri, language, _CLOSED, home.text or "")
            edit = document_edit(there, [Edit(len(there), len(there), appended(there, tests))], encoding)
            return edit if edit.version != _CLOSED else FileEdit(edit.uri, None, edit.edits)
        if capabilities.creates:
            return _new(uri, document, tests, encoding, created=True)
    if not capabilities.shows:
        return None
    path = Path(uri_name(document.uri))
    if path.suffix == _NOTEBOOK:
        path = path.with_suffix(_OF_CELLS.get(document.language_id, ""))
    name = file_name(path, document.language_id)
    return _new(f"untitled:{quote(name)}", document, tests, encoding)


_NOTEBOOK = ".ipynb"
_OF_CELLS = {"python": ".py", "r": ".r", "julia": ".jl", "javascript": ".js", "typescript": ".ts"}
_CLOSED = -1  # the version of a document that is not open


def _new(uri: str, document: Document, tests: str, encoding: Encoding, created: bool = False) -> FileEdit:
    empty = Document.open(uri, document.language_id, _CLOSED, "")
    edit = document_edit(empty, [Edit(0, 0, appended(empty, tests))], encoding)
    return FileEdit(uri, None, edit.edits, created)
