"""The real process with the real model: an action, a completion meanwhile, and the end of it when it is cancelled."""

import sys

import pytest

from lsp.asking import action, apply, ask_resolve, execute, from_server, messages, progress_of
from lsp.client import Client
from lsp.connection import ResponseError
from lsp.profiles import ANSWERS, FULL

COMMAND = [sys.executable, "-m", "starfill", "--stdio"]
URI = "file:///area.py"
CODE = """import os


def area(width, height):
    result = width * height
    return result


def name(path):
    return os.path."""
SHOW = "window/showDocument"


@pytest.fixture(scope="module")
def client(warm_with_torch):
    answers = ANSWERS | {SHOW: lambda params: {"success": True}}
    with Client.start(COMMAND, FULL, answers=answers, popen=warm_with_torch.popen) as client:
        client.wait_for_state("ready", 60)
        client.open(URI, CODE)
        yield client


def explain(client):
    """Begins to explain a function; the page, once something is on it."""
    shown = len(from_server(client, SHOW, 0))
    execute(client, action(client, "explain", URI, (3, 0), (6, 0)))
    return from_server(client, SHOW, shown + 1)[-1]["uri"]


def content(client, page):
    return client.request("workspace/textDocumentContent", {"uri": page})["text"]


def test_a_function_is_explained(client):
    page = explain(client)
    client.wait_for_state("ready", 60)
    heading, where, text = content(client, page).split("\n\n", 2)
    assert (heading, where) == ("# explain", "`area.py:4-6`")
    assert len(text.split()) > 3


def test_a_function_is_rewritten(client):
    """With nothing selected."""
    edit = client.answer(ask_resolve(client, "add type", URI, (4, 8), (4, 8)), 60).get("edit")
    if edit is not None:  # a model of this size may have nothing to say
        (change,) = edit["documentChanges"]
        compile(apply(CODE, change["edits"]).rpartition("def name")[0], "area.py", "exec")


def test_a_completion_goes_first_and_the_action_goes_on(client):
    page = explain(client)
    client.inline(URI, 9, len("    return os.path."), trigger=1)
    assert client.last(URI)["source"] == "model"
    meanwhile = content(client, page)
    client.wait_for_state("ready", 60)
    after = content(client, page)
    went_on = after.startswith(meanwhile.rstrip("\n")) and len(after) > len(meanwhile)
    assert went_on or "repeat itself" in after  # then it is cut back to the first round, which is less than was shown


def test_the_button_stops_it(client):
    page = explain(client)
    token = from_server(client, "window/workDoneProgress/create")[-1]["token"]
    client.notify("window/workDoneProgress/cancel", {"token": token})
    client.wait_for_state("ready")
    assert content(client, page).endswith("*stopped*\n")
    assert progress_of(client, token)[-1] == {"kind": "end"}


def test_cancelling_the_request_stops_it(client):
    asked = ask_resolve(client, "simplify", URI, (3, 0), (6, 0))
    client.wait_for_state("busy")
    client.notify("$/cancelRequest", {"id": asked})
    with pytest.raises(ResponseError) as error:
        client.answer(asked)
    assert error.value.code == -32800
    client.wait_for_state("ready")


def test_the_newest_action_on_a_document_wins(client):
    older = ask_resolve(client, "simplify", URI, (3, 0), (6, 0))
    page = explain(client)
    assert "edit" not in client.answer(older)
    assert "a newer action on this document has taken this one's place" in messages(client)[-1]
    client.wait_for_state("ready", 60)
    assert content(client, page).startswith("# explain")
