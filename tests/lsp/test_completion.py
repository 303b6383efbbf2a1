import pytest
from lsprotocol import types

from lsp.connection import ResponseError
from lsp.params import position, replace
from starfill.lsp.client import convert
from starfill.lsp.client.capabilities import Capabilities
from starfill.text.document import Document
from starfill.text.position import Edit, Encoding

MINIMAL = {"textDocument": {"completion": {}}}
FULL = {
    "textDocument": {
        "completion": {
            "completionItem": {"labelDetailsSupport": True, "insertTextModeSupport": {"valueSet": [1, 2]}},
        }
    }
}


def test_capabilities(ready):
    capabilities = ready.initialize_result["capabilities"]
    assert capabilities["inlineCompletionProvider"] == {}
    assert "completionProvider" not in capabilities  # nothing shall show twice
    assert capabilities["textDocumentSync"] == {"openClose": True, "change": 2, "save": False}
    commands = capabilities["executeCommandProvider"]["commands"]
    assert commands == [
        "starfill.accepted",
        "starfill.pullModel",
        "starfill.instruct",
        "starfill.setEnabled",
        "starfill.enabled",
        "starfill.models",
    ]
    assert ready.initialize_result["serverInfo"]["name"] == "starfill"


def test_inline_completion(ready):
    ready.open("file:///a.py", "x = ")
    (item,) = ready.inline("file:///a.py", 0, 4)
    assert item["insertText"] == "42"
    assert item["range"] == {"start": position(0, 4), "end": position(0, 4)}
    assert item["command"]["command"] == "starfill.accepted"
    assert item["command"]["arguments"] == ["file:///a.py"]


def test_the_figures_of_the_last_completion(ready):
    ready.open("file:///figures.py", "x = ")
    before = ready.last("file:///figures.py")
    assert (before["reason"], before["source"]) == ("nothing was asked for this document yet", "none")
    ready.inline("file:///figures.py", 0, 4)
    assert ready.last("file:///figures.py") == {
        "reason": None,
        "layout": "spm",
        "promptTokens": 10,
        "cachedTokens": 7,
        "computedTokens": 3,
        "generatedTokens": 5,
        "prefillMs": 1.5,
        "decodeMs": 2.5,
        "totalMs": 4.5,
        "source": "model",
        "model": "bundled",
        "device": "cpu",
    }


@pytest.mark.parametrize(("trigger", "automatic"), [(1, False), (2, True)])
def test_a_range_to_replace_and_the_trigger(ready, trigger, automatic):
    uri = f"file:///line{trigger}.py"
    ready.open(uri, "#line old\nnext")
    (item,) = ready.inline(uri, 0, 6, trigger=trigger)
    assert item["insertText"] == f"the rest, automatic={automatic}"
    assert item["range"] == {"start": position(0, 6), "end": position(0, 9)}


def test_several_candidates(ready):
    ready.open("file:///two.py", "#two")
    assert [item["insertText"] for item in ready.inline("file:///two.py", 0, 4)] == ["one", "two"]


@pytest.mark.parametrize(
    ("uri", "text", "line", "reason"),
    [
        ("file:///not_open.py", None, 0, "the document file:///not_open.py is not open"),
        ("file:///short.py", "one\ntwo", 2, "line 2 is outside the document, which has 2 lines"),
        ("file:///far.py", "", 2**31 - 1, "line 2147483647 is outside the document, which has 1 lines"),
        ("file:///nothing.py", "#nothing", 0, "there is nothing to say"),
        ("file:///error.py", "#error", 0, "The request can't be served."),
        ("file:///crash.py", "#crash", 0, "internal error: RuntimeError: boom"),
    ],
)
def test_nothing_is_suggested_and_the_reason_is_known(ready, uri, text, line, reason):
    if text is not None:
        ready.open(uri, text)
    assert ready.inline(uri, line, 0) == []
    assert ready.last(uri)["reason"] == reason


def test_a_column_after_the_end_of_the_line_is_its_end(ready):
    """So says the protocol."""
    ready.open("file:///column.py", "#offset\nx")
    assert ready.inline("file:///column.py", 0, 99)[0]["insertText"] == "7"


@pytest.mark.parametrize(
    ("text", "start", "end", "entry", "expected"),
    [  # the cursor is at `end`, as it is while a popup is shown
        ("#text\nos.pa", (1, 3), (1, 5), "path", "path" + "#text\nos.path"),
        ("#offset os.pa", (0, 11), (0, 13), "path", "path15"),
        ("#line os.pa)", (0, 9), (0, 11), "path", None),  # would have to replace what follows the entry
        ("#quoted f('')", (0, 11), (0, 11), "some", "sometext"),
        ("#nothing os.pa", (0, 12), (0, 14), "path", None),
    ],
)
def test_with_an_entry_of_the_popup_selected(ready, text, start, end, entry, expected):
    uri = "file:///selected.py"
    ready.open(uri, text)
    where = {"start": position(*start), "end": position(*end)}
    items = ready.inline(uri, *end, selected={"range": where, "text": entry})
    if expected is None:
        assert items == []
    else:
        (item,) = items
        assert item["insertText"] == expected
        assert item["range"] == where
    ready.close(uri)


def test_a_newer_request_supersedes_and_a_cancelled_one_is_told(ready):
    uri = "file:///wait.py"
    ready.open(uri, "#wait")
    first, second = ready.ask_inline(uri, 0, 1), ready.ask_inline(uri, 0, 2)
    assert ready.answer(first)["items"] == []
    ready.notify("$/cancelRequest", {"id": second})
    with pytest.raises(ResponseError) as error:
        ready.answer(second)
    assert error.value.code == -32800
    assert ready.last(uri)["reason"] == "cancelled by the editor"
    ready.open("file:///notes.py", "#notes")
    assert f"cancelled {uri}" in ready.inline("file:///notes.py", 0, 0)[0]["insertText"]


def test_a_suggestion_for_a_version_that_has_passed_is_withheld(ready):
    uri = "file:///passed.py"
    ready.open(uri, "#busy")
    asked = ready.ask_inline(uri, 0, 0)
    ready.change(uri, replace((0, 5), (0, 5), "!"))
    assert ready.answer(asked)["items"] == []
    assert ready.last(uri)["reason"] == "the document has changed since it was asked for"


def test_busy_is_told_once_for_any_number_of_requests(ready):
    before = len(ready.all("starfill/status"))
    uris = [f"file:///busy{number}.py" for number in range(3)]
    for uri in uris:
        ready.open(uri, "#busy")
    for identifier in [ready.ask_inline(uri, 0, 0) for uri in uris]:
        ready.answer(identifier)
    ready.wait_for_state("ready")
    assert [status["state"] for status in ready.all("starfill/status")[before:]] == ["busy", "ready"]


# Editors without inline completion


def complete(client, uri, line, character):
    place = {"textDocument": {"uri": uri}, "position": position(line, character)}
    return client.request("textDocument/completion", place | {"context": {"triggerKind": 1}})


def test_completion_for_a_minimal_client(start):
    client = start(MINIMAL)
    provider = client.initialize_result["capabilities"]["completionProvider"]
    assert provider == {"triggerCharacters": [".", "(", "[", ",", "=", ":"]}
    client.wait_for_state("ready")
    client.open("file:///a.py", "value = answ")
    answer = complete(client, "file:///a.py", 0, 12)
    assert answer["isIncomplete"] is True
    (item,) = answer["items"]
    assert item["label"] == "answ42"
    assert item["detail"] == "Starfill"
    assert item["filterText"] == "answ"
    assert item["textEdit"] == {"range": {"start": position(0, 8), "end": position(0, 12)}, "newText": "answ42"}
    assert item["insertTextFormat"] == 1
    assert item["sortText"] > "zzz"
    assert not {"preselect", "labelDetails", "insertTextMode", "documentation"} & item.keys()


def test_completion_for_a_capable_client(start):
    client = start(FULL)
    client.wait_for_state("ready")
    client.open("file:///a.py", "#lines\n    for each in ")
    (item,) = complete(client, "file:///a.py", 1, 16)["items"]
    assert item["label"] == "range(10):…"
    assert item["labelDetails"] == {"description": "Starfill"}
    assert item["insertTextMode"] == 1
    assert item["documentation"] == "range(10):\n        print()"
    assert item["textEdit"]["newText"] == "range(10):\n        print()"
    assert "detail" not in item
    client.open("file:///b.py", "#two")
    assert len(complete(client, "file:///b.py", 0, 0)["items"]) == 1
    assert complete(client, "file:///b.py", 9, 0)["items"] == []
    assert client.last("file:///b.py")["reason"] == "line 9 is outside the document, which has 1 lines"


def test_completion_for_a_client_with_inline_completion(ready):
    ready.open("file:///both.py", "x = ")
    assert complete(ready, "file:///both.py", 0, 4) == {"isIncomplete": False, "items": []}


def test_a_popup_item_of_several_lines_says_so():
    document = Document.open("file:///a.py", "python", 1, "x = ")
    edit = Edit(4, 4, "\n    first\n    ")
    item = convert.completion_item(document, 4, edit, Encoding.UTF16, Capabilities.of(types.ClientCapabilities()))
    assert item.label == "first…"
    assert item.documentation == edit.text
    assert item.filter_text is None  # no word before the cursor: the label will do
