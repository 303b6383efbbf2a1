"""Where an explanation is read: in a document that grows, in a file, or in a message."""

import itertools
import stat
import time
from pathlib import Path
from urllib.parse import unquote

import pytest

from lsp.asking import action, execute, from_server, instruct, messages, notes, open_gate
from lsp.params import position
from lsp.profiles import ANSWERS, FULL, MEDIUM
from lsp.servers.scripted import PAUSE
from starfill.lsp.code_actions.preview import GONE, KEPT

NUMBERS = itertools.count()
SHOW, REFRESH, CONTENT = "window/showDocument", "workspace/textDocumentContent/refresh", "workspace/textDocumentContent"
ANSWER = "It adds **two** numbers: Explain what this code does."


def opened(client, text="def f(a):\n    return a\n"):
    uri = f"file:///some%20folder/show{next(NUMBERS)}.py"
    client.open(uri, text)
    return uri


def explain(client, uri, start=(0, 0), end=(2, 0)):
    assert execute(client, action(client, "explain", uri, start, end)) is None


def content(client, uri):
    return client.request(CONTENT, {"uri": uri})["text"]


@pytest.fixture(params=["full", "medium"])
def willing(request):
    client = request.getfixturevalue(request.param)
    client.answers[SHOW] = lambda params: {"success": True}
    return client


@pytest.fixture
def virtual(full):
    full.answers[SHOW] = lambda params: {"success": True}
    return full


def test_it_grows_in_a_virtual_document(virtual):
    uri = opened(virtual, "#gate\ndef f(a):\n    return a\n")
    shown, refreshed = len(from_server(virtual, SHOW, 0)), len(from_server(virtual, REFRESH, 0))
    explain(virtual, uri, (1, 0), (3, 0))
    asked = from_server(virtual, SHOW, shown + 1)[-1]
    page = asked["uri"]
    assert asked["takeFocus"] is False
    assert page.startswith("starfill:/")
    assert unquote(page).rsplit("/", 1)[1] == f"explain {unquote(uri).rsplit('/', 1)[1]} 2-3.md"
    heading = f"# explain\n\n`{unquote(uri).rsplit('/', 1)[1]}:2-3`\n\n"
    assert content(virtual, page) == f"{heading}Half of\n"
    open_gate(virtual, uri)
    virtual.wait_for_state("ready")
    from_server(virtual, REFRESH, refreshed + 1)
    assert content(virtual, page) == f"{heading}{ANSWER}\n"
    assert from_server(virtual, REFRESH)[-1] == {"uri": page}
    assert len(from_server(virtual, SHOW)) == shown + 1


def test_it_is_refreshed_now_and_then_and_once_at_the_end(virtual):
    uri = opened(virtual, "#endless\n")
    shown, before = len(from_server(virtual, SHOW, 0)), len(from_server(virtual, REFRESH, 0))
    began = time.monotonic()
    explain(virtual, uri, (0, 0), (0, 0))
    page = from_server(virtual, SHOW, shown + 1)[-1]["uri"]
    requests = from_server(virtual, REFRESH, before + 3)[before:]
    assert len(requests) <= 2 + (time.monotonic() - began) / PAUSE
    words = content(virtual, page).count("word")
    assert words > len(requests)
    virtual.notify("window/workDoneProgress/cancel", from_server(virtual, "window/workDoneProgress/create")[-1])
    virtual.wait_for_state("ready")
    assert {each["uri"] for each in requests} == {page}


def test_a_change_of_the_code_is_no_reason_to_stop_explaining_it(virtual):
    uri = opened(virtual, "#gate\nold = 1\n")
    shown = len(from_server(virtual, SHOW, 0))
    explain(virtual, uri, (1, 0), (2, 0))
    page = from_server(virtual, SHOW, shown + 1)[-1]["uri"]
    virtual.change(uri, {"range": {"start": position(1, 0), "end": position(1, 3)}, "text": "other"})
    open_gate(virtual, uri)
    virtual.wait_for_state("ready")
    assert ANSWER in content(virtual, page)


def test_what_is_kept_is_bounded(virtual):
    uri = opened(virtual)
    pages = []
    for _ in range(KEPT + 1):
        shown = len(from_server(virtual, SHOW, 0))
        explain(virtual, uri)
        pages.append(from_server(virtual, SHOW, shown + 1)[-1]["uri"])
        virtual.wait_for_state("ready")
    assert len(set(pages)) == KEPT + 1
    assert content(virtual, pages[0]) == GONE
    assert ANSWER in content(virtual, pages[1])
    assert content(virtual, "starfill:/never") == GONE


def test_a_refusal_is_a_message_and_shows_nothing(willing):
    uri = opened(willing, "#refuse\n")
    shown, before = len(from_server(willing, SHOW, 0)), len(messages(willing))
    explain(willing, uri, (0, 0), (1, 0))
    willing.wait(lambda: messages(willing)[before:], "a message")
    assert messages(willing)[before:] == ["Starfill: The answer was cut off by the token limit."]
    assert len(from_server(willing, SHOW, 0)) == shown


def test_stopping_leaves_what_there_is(virtual):
    uri = opened(virtual, "#gate\nx\n")
    shown = len(from_server(virtual, SHOW, 0))
    explain(virtual, uri, (1, 0), (1, 1))
    page = from_server(virtual, SHOW, shown + 1)[-1]["uri"]
    virtual.notify("window/workDoneProgress/cancel", from_server(virtual, "window/workDoneProgress/create")[-1])
    virtual.wait_for_state("ready")
    assert content(virtual, page).endswith("Half of\n\n*stopped*\n")
    assert notes(virtual)[-1] == "stopped explain"


def test_a_file_for_a_client_that_has_no_virtual_documents(start):
    client = start(MEDIUM, answers=ANSWERS | {SHOW: lambda params: {"success": True}})
    client.wait_for_state("ready")
    uri = opened(client)
    explain(client, uri)
    (asked,) = from_server(client, SHOW)
    path = Path(unquote(asked["uri"].removeprefix("file://")))
    assert path.name == f"1 explain {unquote(uri).rsplit('/', 1)[1]} 1-2.md"
    assert path.read_text(encoding="utf-8").endswith(f"`\n\n{ANSWER}\n")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    explain(client, uri)
    assert from_server(client, SHOW, 2)[-1]["uri"] != asked["uri"]
    assert from_server(client, REFRESH, 0) == []
    assert client.shutdown() == 0
    assert not path.parent.exists()


@pytest.mark.parametrize("profile", [FULL, MEDIUM])
def test_a_message_where_nothing_can_be_shown_after_all(start, profile):
    client = start(profile, answers=ANSWERS | {SHOW: lambda params: {"success": False}})
    client.wait_for_state("ready")
    uri = opened(client)
    explain(client, uri)
    shown = client.wait_for("window/showMessage")
    assert shown == {"type": 3, "message": f"Starfill: {unquote(uri).rsplit('/', 1)[1]}:1-2\n{ANSWER}"}


def test_a_message_for_a_client_that_shows_nothing(minimal):
    uri = opened(minimal)
    before = len(messages(minimal))
    explain(minimal, uri, (1, 0), (1, 4))
    minimal.wait(lambda: messages(minimal)[before:], "a message")
    assert messages(minimal)[before:] == [f"Starfill: {unquote(uri).rsplit('/', 1)[1]}:2\n{ANSWER}"]


def test_a_warning_stands_below_the_text(minimal):
    uri = opened(minimal, "#broken\n")
    before = len(messages(minimal))
    explain(minimal, uri, (0, 0), (0, 3))
    minimal.wait(lambda: messages(minimal)[before:], "a message")
    assert messages(minimal)[-1].endswith(f"{ANSWER}\n\n*does not parse*")


def test_an_own_instruction_may_be_shown(virtual):
    uri = opened(virtual)
    shown = len(from_server(virtual, SHOW, 0))
    where = {"start": position(0, 0), "end": position(0, 3)}
    instruct(virtual, {"uri": uri, "range": where, "action": "Review"})
    page = from_server(virtual, SHOW, shown + 1)[-1]["uri"]
    virtual.wait_for_state("ready")
    assert content(virtual, page).startswith("# Review\n")
