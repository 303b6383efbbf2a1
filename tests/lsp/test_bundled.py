"""The real process with the real model: what an editor gets."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsp.client import Client
from lsp.connection import ResponseError
from lsp.notebook import NOTEBOOKS, Notebook
from lsp.params import replace
from lsp.warm import WarmPython

COMMAND = [sys.executable, "-m", "starfill", "--stdio"]
URI = "file:///code.py"
SOURCE = Path(inspect.__file__).read_text(encoding="utf-8").splitlines()[400:700]


@pytest.fixture(scope="module")
def client(warm_with_torch: WarmPython) -> Iterator[Client]:
    with Client.start(COMMAND, popen=warm_with_torch.popen) as client:
        client.wait_for_state("ready", 60)
        yield client


def complete_at_end(client: Client, uri: str, text: str) -> list[dict[str, object]]:
    """Open a document with `text` before the cursor and nothing behind it."""
    client.open(uri, text)
    last = text.split("\n")[-1]
    items: list[dict[str, object]] = client.inline(uri, text.count("\n"), len(last.encode("utf-16-le")) // 2)
    return items


def test_status_names_the_model(client: Client) -> None:
    status = client.wait_for_state("ready")
    assert (status["model"], status["device"]) == ("bundled", "cpu")


def test_typing_computes_few_tokens_while_the_anchor_stands(client: Client) -> None:
    client.open(URI, "\n".join(SOURCE))
    asked = 0
    for number in (60, 150, 220):
        line = SOURCE[number]
        start = len(line) - len(line.lstrip())
        client.change(URI, replace((number, start), (number, len(line)), ""))
        client.inline(URI, number, start)
        for at in range(start, len(line)):
            client.change(URI, replace((number, at), (number, at), line[at]))
            client.inline(URI, number, at + 1)
            figures = client.last(URI)
            if figures["source"] == "model":
                asked += 1
                assert figures["promptTokens"] == figures["cachedTokens"] + figures["computedTokens"]
                assert figures["computedTokens"] <= 4, (line[: at + 1], figures)
    assert asked >= 10


def test_what_is_shown_can_be_typed_through_without_the_model(client: Client) -> None:
    uri = "file:///through.py"
    text = "import json\n\n\ndef load(path):\n    with open(path) as file:\n        return json."
    (item,) = complete_at_end(client, uri, text)
    shown = str(item["insertText"])
    line, column = text.count("\n"), len(text.split("\n")[-1])
    for i, char in enumerate(shown.split("\n")[0]):
        client.change(uri, replace((line, column + i), (line, column + i), char))
        items = client.inline(uri, line, column + i + 1)
        if rest := shown[i + 1 :]:
            assert [item["insertText"] for item in items] == [rest]
            assert client.last(uri)["source"] == "reuse"


def test_the_prompt_after_an_edit_is_computed_before_the_editor_asks(client: Client) -> None:
    uri = "file:///elsewhere.py"
    client.open(uri, "\n".join(SOURCE))
    client.inline(uri, 20, 0)
    for number, patience in ((250, 1), (120, 4), (280, 15)):
        client.change(uri, replace((number, 0), (number, 0), "zebra"))
        time.sleep(patience)
        client.inline(uri, number, len("zebra"))
        figures = client.last(uri)
        if figures["computedTokens"] <= 4:
            break
    assert figures["source"] == "model" and figures["computedTokens"] <= 4 < 100 < figures["promptTokens"]
    client.close(uri)


def test_a_notebook_has_one_state_for_all_its_cells(warm_with_torch: WarmPython) -> None:
    """A new cell costs its own tokens only, since those of the earlier cells are computed."""
    with Client.start(COMMAND, NOTEBOOKS, popen=warm_with_torch.popen) as client:
        client.wait_for_state("ready", 60)
        book = Notebook(client, "\n".join(SOURCE[:30]), "\n".join(SOURCE[30:40]), "")
        book.inline(2)
        first = client.last(book.cell(2))
        assert first["promptTokens"] > 200
        book.edit(2, replace((0, 0), (0, 0), "import "))
        book.inline(2, 0, 7)
        assert client.last(book.cell(2))["computedTokens"] <= 4
        book.insert(3, "")
        book.inline(3)
        after = client.last(book.cell(3))
        assert after["source"] == "model"
        assert after["cachedTokens"] > 0.9 * first["promptTokens"]


def test_sentinels_in_a_file_are_text(client: Client) -> None:
    plain = "def f(items):\n    # a comment\n    for item in "
    marked = plain.replace("a comment", "<fim_middle> <|endoftext|> <fim_prefix>")
    assert complete_at_end(client, "file:///marked.py", marked)
    figures = client.last("file:///marked.py")
    complete_at_end(client, "file:///plain.py", plain)
    assert figures["promptTokens"] > client.last("file:///plain.py")["promptTokens"] + 10


def test_a_file_of_ten_megabytes(client: Client) -> None:
    uri = "file:///large.py"
    text = "\n".join(SOURCE) + "\n"
    client.open(uri, text * (10_000_000 // len(text)))
    client.change(uri, replace((100_000, 0), (100_000, 0), "x"))
    client.inline(uri, 100_000, 1)
    figures = client.last(uri)
    assert figures["source"] == "model"
    assert figures["promptTokens"] <= 1024
    client.close(uri)


def test_a_single_line_of_a_million_characters(client: Client) -> None:
    uri = "file:///minified.js"
    client.open(uri, "var a=[" + "1234,foo(bar)," * 70_000)
    client.inline(uri, 0, 500_000)
    assert client.last(uri)["source"] == "model"
    client.close(uri)


@pytest.mark.parametrize("place", [(5000, 0), (2**31 - 1, 0), (5, 3)])
def test_a_line_outside_the_document_is_the_reason(client: Client, place: tuple[int, int]) -> None:
    uri = "file:///outside.py"
    client.open(uri, "a = 1\nb = 2\n\n\n")
    assert client.inline(uri, *place) == []
    assert client.last(uri)["reason"] == f"line {place[0]} is outside the document, which has 5 lines"
    client.close(uri)


def test_a_column_beyond_the_line_means_its_end(client: Client) -> None:
    uri = "file:///beyond.py"
    client.open(uri, "a = 1\nb = 2\n\n\n")
    for item in client.inline(uri, 0, 2**31 - 1):
        assert item["range"]["start"] == {"line": 0, "character": 5}
    assert client.last(uri)["source"] == "model"
    client.close(uri)


def test_the_server_survives_what_it_cannot_read(client: Client) -> None:
    client.send_body(b'{"jsonrpc": "2.0", "id": 77, "method": "textDocument/inlineCompletion", "params": {"x": 1}}')
    with pytest.raises(ResponseError):
        client.answer(77)
    client.send_body(b"{not json")
    with pytest.raises(ResponseError):
        client.request("no/such/method", {})
    assert client.wait_for_state("ready")


def test_a_superseded_request_is_answered_and_the_newest_wins(client: Client) -> None:
    uri = "file:///newest.py"
    client.open(uri, "\n".join(SOURCE))
    older = [client.ask_inline(uri, number, 0) for number in (20, 40, 60, 80)]
    newest = client.ask_inline(uri, 100, 0)
    answers = [client.answer(id) for id in older]
    client.answer(newest)
    assert [answer["items"] for answer in answers[:-1]] == [[], [], []]
    assert client.last(uri)["reason"] is None or "superseded" not in client.last(uri)["reason"]


def test_the_process_ends_while_generating(warm_with_torch: WarmPython) -> None:
    options = {"maxNewTokens": 256, "multiLine": "always"}
    with Client.start(COMMAND, options=options, popen=warm_with_torch.popen) as client:
        client.wait_for_state("ready", 60)
        client.open(URI, "\n".join(SOURCE))
        client.ask_inline(URI, 0, 0)
        client.wait_for_state("busy")
        assert client.process is not None
        client.process.stdin.close()
        client.exit_code()


def test_a_bad_checkpoint_is_said_and_the_server_stays(tmp_path: Path, warm_with_torch: WarmPython) -> None:
    options = {"model": str(tmp_path), "cacheBytes": -1}
    with Client.start(COMMAND, options=options, popen=warm_with_torch.popen) as client:
        shown = client.wait_for("window/showMessage", lambda m: "config.json" in m["message"], 60)
        assert "missing" in shown["message"]
        assert client.wait_for("window/showMessage", lambda m: "cacheBytes" in m["message"])
        assert "config.json" in client.wait_for_state("error")["message"]
        assert complete_at_end(client, URI, "def f(") == []
        assert "config.json" in client.last(URI)["reason"]
        client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": {"model": "bundled"}}})
        client.wait_for_state("ready", 60)
        assert client.shutdown() == 0
