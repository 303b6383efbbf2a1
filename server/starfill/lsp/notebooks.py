"""The handlers for notebooks. Their cells are documents like others."""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types

from starfill.lsp.client import convert
from starfill.lsp.documents.documents import Cell
from starfill.lsp.language_server import Server

SYNC = types.NotebookDocumentSyncOptions([types.NotebookDocumentFilterWithNotebook("*")])
"""Of all notebooks all cells."""


def did_open(ls: Server, params: types.DidOpenNotebookDocumentParams) -> None:
    ls.session.editor.documents.arrange(params.notebook_document.uri, _cells(params.notebook_document.cells))
    for item in params.cell_text_documents:
        ls.session.open(convert.document_from(item))


def did_change(ls: Server, params: types.DidChangeNotebookDocumentParams) -> None:
    """First the list of cells, then their contents."""
    session, uri, change = ls.session, params.notebook_document.uri, params.change.cells
    if change is None:
        return
    if change.structure is not None:
        for closed in change.structure.did_close or ():
            session.close(closed.uri)
        for item in change.structure.did_open or ():
            session.open(convert.document_from(item))
        array = change.structure.array
        session.editor.documents.splice(uri, array.start, array.delete_count, _cells(array.cells or ()))
    session.editor.documents.describe(uri, _cells(change.data or ()))
    for each in change.text_content or ():
        session.change(each.document.uri, each.document.version, convert.changes_from(each.changes))


def did_close(ls: Server, params: types.DidCloseNotebookDocumentParams) -> None:
    ls.session.close_notebook(params.notebook_document.uri)


def _cells(cells: Sequence[types.NotebookCell]) -> list[Cell]:
    return [Cell(cell.document, cell.kind == types.NotebookCellKind.Code) for cell in cells]
