"""A notebook as an editor tells of it."""

from __future__ import annotations

import itertools
from typing import Any

from lsp.client import Client
from lsp.params import INLINE, position

NOTEBOOKS = INLINE | {"notebookDocument": {"synchronization": {}}}
"""Capabilities of an editor that has notebooks."""

_NUMBERS = itertools.count()
PYTHON, MARKDOWN = "python", "markdown"


class Notebook:
    """Its cells are named by numbers that they keep wherever they are moved."""

    def __init__(self, client: Client, *cells: str | tuple[str, str], folder: str = "/home/me") -> None:
        """cells: a text of Python, or (language, text)."""
        self.client = client
        name = f"{folder}/book{next(_NUMBERS)}.ipynb"
        self.uri = f"file://{name}"
        self._cell_uri = f"vscode-notebook-cell:{name}#"
        self._version = 1
        self._ids = itertools.count()
        self._order: list[int] = []
        made = [self._made(cell) for cell in cells]
        self._order += [identifier for identifier, _, _ in made]
        document = {
            "uri": self.uri,
            "notebookType": "jupyter-notebook",
            "version": 1,
            "cells": [entry for _, entry, _ in made],
            "metadata": {"kernelspec": {"language": "python"}},
        }
        params = {"notebookDocument": document, "cellTextDocuments": [item for _, _, item in made]}
        client.notify("notebookDocument/didOpen", params)

    def cell(self, identifier: int) -> str:
        """A cell's URI."""
        return f"{self._cell_uri}W{identifier}"

    def inline(self, identifier: int, line: int = 0, character: int = 0, **more: Any) -> Any:
        return self.client.inline(self.cell(identifier), line, character, **more)

    def seen(self, identifier: int) -> str:
        """What the model sees of the notebook in a cell, if its first line begins with #text."""
        (item,) = self.inline(identifier)
        text: str = item["insertText"]
        return text

    def insert(self, at: int, *cells: str | tuple[str, str]) -> None:
        made = [self._made(cell) for cell in cells]
        self._order[at:at] = [identifier for identifier, _, _ in made]
        array = {"start": at, "deleteCount": 0, "cells": [entry for _, entry, _ in made]}
        self._change(structure={"array": array, "didOpen": [item for _, _, item in made], "didClose": []})

    def remove(self, at: int, count: int = 1) -> None:
        closed = [{"uri": self.cell(identifier)} for identifier in self._order[at : at + count]]
        del self._order[at : at + count]
        self._change(structure={"array": {"start": at, "deleteCount": count}, "didClose": closed})

    def reorder(self, *identifiers: int) -> None:
        """The editor sends moved cells as deleted and inserted again, and neither opens nor closes their documents."""
        count, self._order = len(self._order), list(identifiers)
        cells = [_entry(self.cell(identifier)) for identifier in identifiers]
        self._change(structure={"array": {"start": 0, "deleteCount": count, "cells": cells}})

    def describe(self, identifier: int, kind: int = 2, **more: Any) -> None:
        """Another kind (1: prose, 2: code), metadata or execution summary of a cell."""
        self._change(data=[_entry(self.cell(identifier), kind) | more])

    def edit(self, identifier: int, *changes: dict[str, Any]) -> None:
        uri = self.cell(identifier)
        self.client.versions[uri] += 1
        document = {"uri": uri, "version": self.client.versions[uri]}
        self._change(textContent=[{"document": document, "changes": list(changes)}])

    def close(self) -> None:
        cells = [{"uri": self.cell(identifier)} for identifier in self._order]
        params = {"notebookDocument": {"uri": self.uri}, "cellTextDocuments": cells}
        self.client.notify("notebookDocument/didClose", params)

    def notify_metadata(self) -> None:
        self._notify({"metadata": {"saved": True}})

    def _made(self, cell: str | tuple[str, str]) -> tuple[int, dict[str, Any], dict[str, Any]]:
        language, text = cell if isinstance(cell, tuple) else (PYTHON, cell)
        identifier = next(self._ids)
        uri = self.cell(identifier)
        self.client.versions[uri] = 1
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        return identifier, _entry(uri, 1 if language == MARKDOWN else 2), item

    def _change(self, **cells: Any) -> None:
        self._notify({"cells": cells})

    def _notify(self, change: dict[str, Any]) -> None:
        self._version += 1
        document = {"uri": self.uri, "version": self._version}
        self.client.notify("notebookDocument/didChange", {"notebookDocument": document, "change": change})


def _entry(uri: str, kind: int = 2) -> dict[str, Any]:
    return {"kind": kind, "document": uri, "metadata": {"collapsed": False}}


def empty_at(line: int, character: int) -> dict[str, Any]:
    return {"start": position(line, character), "end": position(line, character)}
