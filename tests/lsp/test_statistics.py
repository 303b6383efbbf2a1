"""The counts of a session, and the list of models."""

from __future__ import annotations

import pytest

from lsp.asking import go_on
from lsp.params import replace
from starfill.lsp.statistics import Statistics
from starfill.text.document import Document
from starfill.text.position import Edit

URI = "file:///a.py"
NOTHING = {"asked": 0, "offered": 0, "accepted": 0, "acceptedCharacters": 0, "reused": 0}


def document(text: str) -> Document:
    return Document.open(URI, "python", 1, text)


@pytest.mark.parametrize(
    ("now", "characters"),
    [
        (document("x = first"), 5),
        (document("x = the second"), 10),
        (document("x = the secondary"), 10),
        (document("x = "), 5),  # changed again before the command came
        (None, 5),
    ],
)
def test_which_of_several_was_accepted(now, characters):
    statistics = Statistics()
    statistics.offered(URI, [Edit(4, 4, "first"), Edit(4, 4, "the second")], reused=False)
    statistics.accepted(URI, now)
    assert statistics.counts.accepted_characters == characters
    statistics.accepted(URI, now)  # a second time it was nothing of ours
    assert statistics.counts.accepted == 1


def test_what_was_not_offered_can_not_be_accepted():
    statistics = Statistics()
    statistics.accepted(URI, None)
    statistics.offered(URI, [Edit(0, 0, "text")], reused=True)
    statistics.closed(URI)
    statistics.accepted(URI, None)
    assert statistics.counts.as_json() == NOTHING | {"offered": 1, "reused": 1}


@pytest.mark.parametrize("params", [{}, None])
def test_the_counts_of_a_session(start, params):
    client = start()
    assert client.request("starfill/statistics", params) == NOTHING
    client.wait_for_state("ready")
    client.open(URI, "x = ")
    client.open("file:///b.py", "#nothing")
    (item,) = client.inline(URI, 0, 4)
    assert client.inline("file:///b.py", 0, 0) == []
    client.change(URI, replace((0, 4), (0, 4), item["insertText"]))
    client.request("workspace/executeCommand", item["command"])
    assert client.request("starfill/statistics", params) == {
        "asked": 2,
        "offered": 1,
        "accepted": 1,
        "acceptedCharacters": 2,
        "reused": 0,
    }


@pytest.mark.parametrize(
    ("model", "current"),
    [
        ("bundled", "bundled"),
        ("hub/coder:main", "hub/coder"),
        ("hub/known:branch", "hub/known:branch"),
        ("/models/own", None),
    ],
)
def test_the_models_to_choose_from(start, model, current):
    client = start(options={"model": model})
    pull = {"command": "starfill.pullModel", "arguments": ["hub/coder"]}
    client.request("workspace/executeCommand", pull)

    def here() -> bool:
        models = client.request("workspace/executeCommand", {"command": "starfill.models"})
        return [each["name"] for each in models] == ["bundled", "hub/coder", "hub/known:branch"]

    assert not here()
    begin = client.wait_for("$/progress", lambda params: "downloading" in params["value"].get("title", ""))
    go_on(client)
    client.wait_for("$/progress", lambda params: params == {"token": begin["token"], "value": {"kind": "end"}})
    assert here()
    models = client.request("workspace/executeCommand", {"command": "starfill.models", "arguments": []})
    assert models[0] == {"name": "bundled", "where": "bundled", "bytes": 7_000_000, "current": current == "bundled"}
    assert [(each["where"], each["bytes"]) for each in models[1:]] == [("here", 7_300_000_000), ("known", None)]
    assert [each["name"] for each in models if each["current"]] == [current] * (current is not None)
