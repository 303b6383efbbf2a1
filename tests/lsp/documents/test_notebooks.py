"""Notebooks: a cell is completed as part of one text, and only the cell is edited."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lsp.asking import action, apply, messages, notes
from lsp.client import Client
from lsp.code_actions.conftest import ready_client
from lsp.notebook import MARKDOWN, NOTEBOOKS, Notebook, empty_at
from lsp.params import INLINE, position, replace
from lsp.profiles import FULL
from lsp.servers.scripted import COMMAND
from lsp.warm import WarmPython


@pytest.fixture(scope="module")
def client(warm: WarmPython) -> Iterator[Client]:
    with Client.start(COMMAND, NOTEBOOKS, {"excludedGlobs": ["secret"]}, popen=warm.popen) as client:
        client.wait_for_state("ready")
        yield client


def test_what_is_announced(client, start):
    assert client.initialize_result["capabilities"]["notebookDocumentSync"] == {"notebookSelector": [{"notebook": "*"}]}
    assert "notebookDocumentSync" not in start(INLINE).initialize_result["capabilities"]


def test_a_cell_sees_the_earlier_ones_before_it_and_the_later_ones_after_it(client):
    book = Notebook(client, "#offset", "two = 2\nt", "three = 3")
    (item,) = book.inline(1, 1, 1)
    assert item["insertText"] == str(len("#offset\n\ntwo = 2\nt"))
    assert item["range"] == empty_at(1, 1)
    assert item["command"]["arguments"] == [book.cell(1)]
    (item,) = book.inline(2, 0, 5)  # the last one too
    assert item["insertText"] == str(len("#offset\n\ntwo = 2\nt\n\nthree"))
    assert item["range"] == empty_at(0, 5)


def test_prose_blank_cells_and_other_languages_are_left_out(client):
    prose, blank, shell = (MARKDOWN, "# Title"), " \n", ("shellscript", "#text ls")
    book = Notebook(client, prose, "#text", blank, shell, "x = 1", prose, "", ("shellscript", "cd"), "")
    assert book.seen(1) == book.seen(4) == "#text\n\nx = 1"
    assert book.seen(2) == "#text\n\n \n\n\nx = 1"
    assert book.seen(6) == "#text\n\nx = 1\n\n"
    assert book.seen(8) == "#text\n\nx = 1\n\n"
    assert book.seen(3) == "#text ls\n\ncd"
    assert book.inline(0) == []
    assert client.last(book.cell(0))["reason"] == "the cell holds no code"


def test_a_notebook_without_code(client):
    book = Notebook(client, "")
    (item,) = book.inline(0)
    assert (item["insertText"], item["range"]) == ("42", empty_at(0, 0))
    empty = Notebook(client)
    empty.insert(0, "#text")
    assert empty.seen(0) == "#text"


def test_cells_are_inserted_removed_and_moved(client):
    book = Notebook(client, "#text", "b = 1")
    book.insert(1, "c = 1", "d = 1")
    assert book.seen(1) == "#text\n\nc = 1\n\nd = 1\n\nb = 1"
    book.reorder(0, 1, 3, 2)
    assert book.seen(1) == "#text\n\nb = 1\n\nd = 1\n\nc = 1"
    book.remove(1)
    assert book.seen(3) == "#text\n\nd = 1\n\nc = 1"
    assert book.inline(1) == []
    assert client.last(book.cell(1))["reason"] == f"the document {book.cell(1)} is not open"
    book.remove(0, 2)
    book.insert(1, "last")
    (item,) = book.inline(2, 0, 5)
    assert item["insertText"] == "42"


def test_cells_are_changed(client):
    book = Notebook(client, "#text", "é😀 = 1\r\nx")
    book.edit(1, replace((1, 0), (1, 1), "y"), replace((0, 3), (0, 3), "!"))
    book.edit(0, replace((0, 5), (0, 5), " more"))
    assert book.seen(0) == "#text more\n\né😀! = 1\r\ny"
    assert book.seen(1) == "#text more\r\n\r\né😀! = 1\r\ny"
    (item,) = book.inline(1, 0, 4)
    assert item["range"] == empty_at(0, 4)


def test_a_cell_becomes_prose_and_code_again(client):
    book = Notebook(client, "#text", "some words")
    book.describe(1, kind=1)
    assert book.seen(0) == "#text"
    assert book.inline(1) == []
    book.describe(1, kind=2)
    assert book.seen(1) == "#text\n\nsome words"


def test_metadata_and_executions_change_nothing(client):
    book = Notebook(client, "#text", "x = 1")
    book.describe(0, metadata={"tags": ["parameters"]}, executionSummary={"executionOrder": 3, "success": True})
    book.notify_metadata()
    assert book.seen(1) == "#text\n\nx = 1"


def test_an_edit_that_reaches_beyond_the_cell_is_not_shown(client):
    book = Notebook(client, "#all", "x = 1", "y = 2")
    (item,) = book.inline(1, 0, 5)
    assert (item["insertText"], item["range"]) == ("here", empty_at(0, 5))


def test_with_an_entry_of_the_popup_selected(client):
    book = Notebook(client, "#text", "os.pa", "last")
    where = {"start": position(0, 3), "end": position(0, 5)}
    (item,) = book.inline(1, 0, 5, selected={"range": where, "text": "path"})
    assert item["insertText"] == "path#text\n\nos.path\n\nlast"
    assert item["range"] == where


def test_a_suggestion_for_a_cell_that_has_changed_since_is_withheld(client):
    book = Notebook(client, "#busy", "x", "y")
    first, second = (client.ask_inline(book.cell(cell), 0, 0) for cell in (1, 2))
    book.edit(2, replace((0, 0), (0, 0), "new"))
    assert [client.answer(asked)["items"] for asked in (first, second)] == [[], []]
    assert client.last(book.cell(2))["reason"] == "the document has changed since it was asked for"


def test_the_assistant_knows_the_notebook_only(client):
    """So that there is one KV state for it, and one place where the cursor is."""
    book = Notebook(client, "#cursor", "x = ")
    book.edit(1, replace((0, 4), (0, 4), "yy"))
    (item,) = book.inline(1, 0, 6)
    assert item["insertText"] == str(len("#cursor\n\nx = yy"))
    client.request("workspace/executeCommand", item["command"])
    book.remove(1)
    book.close()
    told = [note for note in notes(client) if not note.startswith("instructor")]
    assert f"accepted {book.uri}" in told
    assert f"forgot {book.uri}" in told
    assert not [note for note in told if book.cell(0) in note or book.cell(1) in note]
    assert book.inline(0) == []
    assert client.last(book.cell(0))["reason"] == f"the document {book.cell(0)} is not open"


def test_a_notebook_is_excluded_by_its_path(client):
    book = Notebook(client, "x = 1", folder="/home/me/secret")
    assert book.inline(0) == []
    assert client.last(book.cell(0))["reason"] == f"Starfill is off for {book.uri[7:]}: the setting excludedGlobs" + (
        ' lists "secret"'
    )


def test_turned_off_for_a_cell_is_off_for_the_notebook(client):
    book, other = Notebook(client, "x = 1", "y = 1"), Notebook(client, "x = 1")
    turn = {"scope": "file", "uri": book.cell(0), "enabled": False}
    client.request("workspace/executeCommand", {"command": "starfill.setEnabled", "arguments": [turn]})
    assert [len(book.inline(0)), len(book.inline(1)), len(other.inline(0))] == [0, 0, 1]
    assert client.last(book.cell(1))["reason"] == "suggestions are turned off for this file"


# Code actions


@pytest.fixture(scope="module")
def able(warm: WarmPython) -> Iterator[Client]:
    with ready_client(warm, FULL) as client:
        client.answers["workspace/applyEdit"] = lambda params: {"applied": True}
        client.answers["window/showDocument"] = lambda params: {"success": True}
        yield client


def test_an_action_edits_its_cell(able):
    code = "a = 1\nold = a\n"
    book = Notebook(able, "import os", code, "b = 1")
    book.edit(1, replace((0, 0), (0, 0), ""))
    chosen = action(able, "simplify", book.cell(1), (0, 0), (2, 0))
    (change,) = able.request("codeAction/resolve", chosen)["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": book.cell(1), "version": 2}
    assert apply(code, change["edits"]) == "a = 1\nnew = a\n"


def test_tests_for_a_cell_go_into_a_document_of_its_language(able):
    book = Notebook(able, "def f(a):\n    return a\n")
    chosen = action(able, "write tests", book.cell(0), (0, 0), (1, 0))
    before = len(able.requests)
    able.request("workspace/executeCommand", chosen["command"])
    able.wait(lambda: "window/showDocument" in [each["method"] for each in able.requests[before:]], "a document")
    shown = [each["params"]["uri"] for each in able.requests[before:] if each["method"] == "window/showDocument"]
    assert shown == [f"untitled:test_{book.uri.rpartition('/')[2].removesuffix('.ipynb')}.py"]
    assert messages(able) == []
