"""The server's documents are exactly the client's, for every position encoding."""

import pytest

from lsp.params import INLINE, position, replace

URI = "file:///a.py"


def server_text(client) -> str:
    """What the server has in its document: its scripted model suggests it."""
    (item,) = client.inline(URI, 0, 0)
    return item["insertText"]


@pytest.mark.parametrize(
    ("offered", "chosen", "after_the_emoji"),
    [
        (None, "utf-16", 3),
        (["utf-16"], "utf-16", 3),
        (["utf-8", "utf-16"], "utf-8", 6),
        (["utf-32", "utf-16", "utf-8"], "utf-32", 2),
        (["utf-7", "utf-8"], "utf-8", 6),
        (["utf-7"], "utf-16", 3),
    ],
)
def test_position_encodings(start, offered, chosen, after_the_emoji):
    client = start(INLINE | ({"general": {"positionEncodings": offered}} if offered else {}))
    assert client.initialize_result["capabilities"]["positionEncoding"] == chosen
    client.wait_for_state("ready")
    client.open(URI, "#text\r\né😀 = x\x0cy\u2028z\r\nlast")
    client.change(
        URI,
        replace((1, after_the_emoji), (1, after_the_emoji), "!"),
        replace((2, 0), (2, 4), "🚀\n"),
        replace((3, 0), (3, 0), "end"),
    )
    assert server_text(client) == "#text\r\né😀! = x\x0cy\u2028z\r\n🚀\nend"
    client.change(URI, replace((1, 0), (1, 0), "#offset "), replace((0, 0), (1, 0), ""))
    (item,) = client.inline(URI, 0, 8 + after_the_emoji)
    assert item["insertText"] == "10"
    assert item["range"] == {"start": position(0, 8 + after_the_emoji), "end": position(0, 8 + after_the_emoji)}


def test_whole_text_and_reopening(ready):
    ready.open(URI, "#text one")
    ready.change(URI, {"text": "#text two"}, replace((0, 6), (0, 9), "three"))
    assert server_text(ready) == "#text three"
    ready.close(URI)
    assert ready.inline(URI, 0, 0) == []
    assert ready.last(URI)["reason"] == f"the document {URI} is not open"
    ready.open(URI, "#text four")
    assert server_text(ready) == "#text four"


def test_a_change_of_a_document_that_is_not_open(ready):
    ready.versions["file:///b.py"] = 1
    ready.change("file:///b.py", replace((0, 0), (0, 0), "x"))
    assert ready.inline("file:///b.py", 0, 0) == []


def test_a_request_sees_the_version_it_was_asked_about(ready):
    """Also when the next edits arrive with it, in one go."""
    uri = "file:///fast.py"
    ready.open(uri, "#text")
    asked = []
    for number in range(20):
        asked.append(ready.ask_inline(uri, 0, 5))
        ready.change(uri, replace((0, 5), (0, 5), f" {number}"))
    asked.append(ready.ask_inline(uri, 0, 5))
    answers = [ready.answer(identifier)["items"] for identifier in asked]
    for number, items in enumerate(answers[:-1]):
        for item in items:  # overtaken by the edit, or answered before it
            assert item["insertText"] == "#text" + "".join(f" {each}" for each in reversed(range(number)))
    assert answers[-1][0]["insertText"].startswith("#text 19 18")


def test_the_assistant_hears_of_edits_and_ends(ready):
    uri = "file:///heard.py"
    ready.open(uri, "x")
    ready.change(uri, replace((0, 0), (0, 0), "y"))
    ready.request("workspace/executeCommand", {"command": "starfill.accepted", "arguments": [uri]})
    ready.close(uri)
    ready.open("file:///notes.py", "#notes")
    notes = ready.inline("file:///notes.py", 0, 0)[0]["insertText"].split("\n")
    assert {f"accepted {uri}", f"forgot {uri}"} <= set(notes)
