"""The open documents, and the notebooks to which some of them belong as cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from starfill.lsp.client.uris import path_of
from starfill.text.document import Document
from starfill.text.joined_cells import JoinedCells


@dataclass(frozen=True, slots=True)
class Cell:
    """uri: of the cell's document. code: False for a cell of prose."""

    uri: str
    code: bool


class Documents:
    """A cell's document is stored like any other. What a model sees of it is computed by `joined`."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}
        self._notebooks: dict[str, tuple[Cell, ...]] = {}
        self._homes: dict[str, str] = {}  # by URI of a cell: its notebook

    def get(self, uri: str) -> Document | None:
        return self._documents.get(uri)

    def put(self, document: Document) -> None:
        self._documents[document.uri] = document

    def drop(self, uri: str) -> None:
        self._documents.pop(uri, None)

    def at(self, path: Path) -> Document | None:
        """The open document for a file; None if it isn't open."""
        return next((document for uri, document in self._documents.items() if path_of(uri) == path), None)

    def cells(self, notebook: str) -> tuple[Cell, ...]:
        return self._notebooks.get(notebook, ())

    def arrange(self, notebook: str, cells: Iterable[Cell]) -> None:
        """A notebook now has these cells."""
        for cell in self.cells(notebook):
            self._homes.pop(cell.uri, None)
        self._notebooks[notebook] = tuple(cells)
        self._homes |= {cell.uri: notebook for cell in self._notebooks[notebook]}

    def splice(self, notebook: str, start: int, count: int, cells: Sequence[Cell]) -> None:
        """`cells` have replaced `count` cells."""
        now = self.cells(notebook)
        self.arrange(notebook, (*now[:start], *cells, *now[start + count :]))

    def describe(self, notebook: str, cells: Sequence[Cell]) -> None:
        """Some cells have changed their kind."""
        told = {cell.uri: cell for cell in cells}
        self.arrange(notebook, [told.get(cell.uri, cell) for cell in self.cells(notebook)])

    def remove(self, notebook: str) -> None:
        self.arrange(notebook, ())
        del self._notebooks[notebook]

    def home(self, uri: str) -> str:
        """The notebook of a cell; the URI itself for any other document."""
        return self._homes.get(uri, uri)

    def is_prose(self, uri: str) -> bool:
        """Whether a document is a cell without code."""
        return Cell(uri, code=False) in self.cells(self.home(uri))

    def joined(self, document: Document) -> JoinedCells:
        """A document, in its present version or a coming one, with the other cells of its notebook in the same
        language.
        """
        home = self.home(document.uri)
        cells = [cell.uri for cell in self.cells(home) if cell.code]
        if document.uri not in cells:
            return JoinedCells.alone(document)
        at = cells.index(document.uri)
        before, after = self._in(document.language_id, cells[:at]), self._in(document.language_id, cells[at + 1 :])
        return JoinedCells.among(home, before, document, after)

    def _in(self, language: str, uris: Sequence[str]) -> list[Document]:
        found = [document for uri in uris if (document := self.get(uri)) is not None]
        return [document for document in found if document.language_id == language]
