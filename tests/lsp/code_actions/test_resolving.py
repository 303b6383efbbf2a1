"""An action's edit, asked for when it is chosen; also while the document changes, and not any more when cancelled."""

import itertools

import pytest

from lsp.asking import (
    CREATE,
    action,
    apply,
    ask_resolve,
    diagnostic,
    from_server,
    messages,
    notes,
    open_gate,
    progress_of,
)
from lsp.connection import ResponseError
from lsp.params import replace
from starfill.lsp.documents.edit_history import KEPT

NUMBERS = itertools.count()
TEXT = "first = 1\n\n\ndef f(a):\n    old = a\n    same = 1\n    return old\n\n\nlast = 2\n"
F = (3, 0), (7, 0)
CHANGED = "the code was changed while the model was writing; nothing was done to it, ask again"


def opened(client, text=TEXT):
    uri = f"file:///resolve{next(NUMBERS)}.py"
    client.open(uri, text)
    return uri


def test_the_edit_is_small_versioned_and_asks_to_be_confirmed(full):
    uri = opened(full)
    full.change(uri, replace((0, 0), (0, 5), "first"))
    resolved = full.answer(ask_resolve(full, "simplify", uri, *F))
    (change,) = resolved["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": uri, "version": 2}
    assert [each["range"]["start"]["line"] for each in change["edits"]] == [4, 6]
    assert {each["annotationId"] for each in change["edits"]} == {"starfill"}
    assert resolved["edit"]["changeAnnotations"] == {
        "starfill": {
            "label": "Starfill: simplify",
            "needsConfirmation": True,
            "description": "written by bundled",
        }
    }
    assert "changes" not in resolved["edit"]
    assert resolved["title"] == "Starfill: simplify"
    assert apply(TEXT, change["edits"]) == TEXT.replace("old", "new")


def test_positions_are_those_of_the_client(medium):
    uri = opened(medium, "größe = 1; old = 2  # 😀\n")
    (change,) = medium.answer(ask_resolve(medium, "simplify", uri, (0, 0), (0, 0)))["edit"]["documentChanges"]
    assert change["edits"][0]["range"]["end"] in ({"line": 1, "character": 0}, {"line": 0, "character": 28})


def test_text_is_inserted_before(full):
    uri = f"file:///note{next(NUMBERS)}.lua"
    full.open(uri, "x = 1\ny = 2\n", "lua")
    (change,) = full.answer(ask_resolve(full, "Note", uri, (1, 0), (1, 0)))["edit"]["documentChanges"]
    assert apply("x = 1\ny = 2\n", change["edits"]) == "x = 1\nbefore\ny = 2\n"


def test_a_rewrite_that_does_not_parse_says_so(full):
    uri = opened(full, "#broken\nold = 1\n")
    resolved = full.answer(ask_resolve(full, "simplify", uri, (1, 0), (2, 0)))
    assert resolved["title"] == "Starfill: simplify (does not parse)"
    assert resolved["edit"]["changeAnnotations"]["starfill"]["description"] == "does not parse; written by bundled"


def test_a_client_without_annotations_is_told_of_it(start):
    lazy = {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}}, "dataSupport": True}
    capabilities = {
        "textDocument": {"codeAction": lazy | {"resolveSupport": {"properties": ["edit"]}}},
        "workspace": {"workspaceEdit": {"documentChanges": True}},
    }
    client = start(capabilities)
    client.wait_for_state("ready")
    uri = opened(client, "#broken\nold = 1\n")
    resolved = client.answer(ask_resolve(client, "simplify", uri, (1, 0), (2, 0)))
    assert messages(client) == ["Starfill: simplify: does not parse"]
    (change,) = resolved["edit"]["documentChanges"]
    assert change["textDocument"]["version"] == 1
    assert "annotationId" not in change["edits"][0]
    assert "changeAnnotations" not in resolved["edit"]


def test_a_client_without_versions_and_progress_gets_plain_changes(start):
    lazy = {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}}, "dataSupport": True}
    client = start({"textDocument": {"codeAction": lazy | {"resolveSupport": {"properties": ["edit"]}}}})
    client.wait_for_state("ready")
    uri = opened(client)
    edit = client.answer(ask_resolve(client, "simplify", uri, *F))["edit"]
    assert edit.keys() == {"changes"}
    assert apply(TEXT, edit["changes"][uri]) == TEXT.replace("old", "new")
    assert client.requests == []
    assert client.all("$/progress") == []


def test_a_fix_is_asked_with_the_problem_and_the_function_around_it(full):
    uri = opened(full)
    problem = diagnostic(4, "old is wrong", source="lint")
    full.answer(ask_resolve(full, "fix", uri, (4, 5), (4, 5), diagnostics=[problem]))
    start = TEXT.index("def")
    expected = "'Fix this problem in the code: old is wrong (lint), in the line `old = a`'"
    assert f"asked fix {expected} Span(start={start}, end={TEXT.index('last') - 3})" in notes(full)
    outside = diagnostic(9, "last is wrong")  # no function there: the line itself
    full.answer(ask_resolve(full, "fix", uri, (9, 0), (9, 0), diagnostics=[outside]))
    assert notes(full)[-1].endswith(f"Span(start={TEXT.index('last')}, end={TEXT.index('last') + 3})")


def test_an_action_that_is_a_command_is_resolved_to_itself(medium):
    """Neovim resolves whatever has no edit."""
    uri = opened(medium)
    explain = action(medium, "explain", uri, *F)
    assert medium.request("codeAction/resolve", explain) == explain


# Refusals: a sentence, and no edit


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        ("#refuse", "The answer was cut off by the token limit."),
        ("#crash", "internal error: RuntimeError: boom"),
    ],
)
def test_a_refusal_is_said_and_nothing_is_changed(medium, first, sentence):
    uri = opened(medium, f"{first}\nold = 1\n")
    before = len(messages(medium))
    resolved = medium.answer(ask_resolve(medium, "simplify", uri, (1, 0), (2, 0)))
    assert "edit" not in resolved
    assert "data" not in resolved  # or eglot would resolve it again, without end
    assert messages(medium)[before:] == [f"Starfill: {sentence}"]


@pytest.mark.parametrize("count", [1, 5, KEPT])
def test_what_changes_elsewhere_after_the_list_moves_the_code(full, count):
    uri = opened(full)
    simplify = action(full, "simplify", uri, *F)
    for _ in range(count):
        full.change(uri, replace((0, 0), (0, 0), "\n"))
    now = "\n" * count + TEXT
    (edited,) = full.request("codeAction/resolve", simplify)["edit"]["documentChanges"]
    assert edited["textDocument"]["version"] == 1 + count
    assert apply(now, edited["edits"]) == now.replace("old", "new")


@pytest.mark.parametrize(
    "changes",
    [[replace((F[0][0] + 1, 0), (F[0][0] + 1, 0), "#")], [replace((0, 0), (0, 0), "\n")] * (KEPT + 1)],
    ids=["in the code", "too often"],
)
def test_a_list_that_is_too_old(full, changes):
    uri = opened(full)
    simplify = action(full, "simplify", uri, *F)
    for change in changes:
        full.change(uri, change)
    assert "edit" not in full.request("codeAction/resolve", simplify)
    sentence = f"{uri} has changed there since its actions were listed; ask for them again."
    assert messages(full)[-1] == f"Starfill: {sentence}"


# The document changes while the model writes


def gated(client, **more):
    """An action that waits in the middle, in a document of its own; what was asked, and the URI."""
    uri = opened(client, "#gate\n" + TEXT)
    asked = ask_resolve(client, "simplify", uri, (4, 0), (8, 0), **more)
    client.wait_for_state("busy")
    return asked, uri


@pytest.mark.parametrize("fixture", ["full", "medium"])
@pytest.mark.parametrize(
    "changes",
    [
        [replace((1, 0), (1, 0), "# one\n# two\n")],  # above
        [replace((10, 0), (10, 4), "final")],  # below
        [replace((1, 0), (2, 0), ""), replace((9, 0), (9, 4), "end")],  # both; the second one sees the first
        [replace((4, 0), (4, 0), "# right above\n")],
        [replace((7, 14), (7, 14), "\n# right below")],
    ],
    ids=["above", "below", "both", "at its beginning", "at its end"],
)
def test_an_edit_is_moved_with_its_code(request, fixture, changes):
    client = request.getfixturevalue(fixture)
    asked, uri = gated(client)
    for change in changes:
        client.change(uri, change)
    open_gate(client, uri)
    (edited,) = client.answer(asked)["edit"]["documentChanges"]
    now = "#gate\n" + TEXT
    for change in changes:
        now = apply(now, [{"range": change["range"], "newText": change["text"]}])
    assert edited["textDocument"]["version"] == 1 + len(changes)
    assert apply(now, edited["edits"]) == now.replace("old", "new")


def test_the_whole_text_may_be_sent_anew(full):
    asked, uri = gated(full)
    now = "#gate\n# more\n" + TEXT
    full.change(uri, {"text": now})
    open_gate(full, uri)
    (edited,) = full.answer(asked)["edit"]["documentChanges"]
    assert apply(now, edited["edits"]) == now.replace("old", "new")


def test_code_that_was_changed_meanwhile_is_left_alone_and_the_model_stopped(full):
    asked, uri = gated(full)
    full.change(uri, replace((6, 4), (6, 8), "other"))
    assert "edit" not in full.answer(asked)  # without waiting for the model
    assert messages(full)[-1] == f"Starfill: {CHANGED}"
    full.wait_for_state("ready")
    assert notes(full)[-1] == "stopped refactor"


def test_code_around_the_cursor_that_was_changed_is_left_alone_too(full):
    """Where it ends is known only at the end."""
    uri = opened(full, "#gate\n" + TEXT)
    asked = ask_resolve(full, "simplify", uri, (6, 6), (6, 6))
    full.wait_for_state("busy")
    full.change(uri, replace((6, 0), (6, 1), "\t"))
    open_gate(full, uri)
    assert "edit" not in full.answer(asked)
    assert messages(full)[-1] == f"Starfill: {CHANGED}"


def test_a_document_that_was_closed(full):
    asked, uri = gated(full)
    before = messages(full)
    full.close(uri)
    assert "edit" not in full.answer(asked)
    assert {"stopped refactor", f"instructor forgot {uri}"} <= set(notes(full)[-3:])
    assert messages(full) == before


# Cancelling


def test_cancelling_the_request_stops_the_model(full):
    uri = opened(full, "#endless\nold = 1\n")
    asked = ask_resolve(full, "simplify", uri, (1, 0), (2, 0))
    full.wait_for_state("busy")
    full.notify("$/cancelRequest", {"id": asked})
    with pytest.raises(ResponseError) as error:
        full.answer(asked)
    assert error.value.code == -32800
    full.wait_for_state("ready")
    assert notes(full)[-1] == "stopped refactor"


def test_progress_counts_tokens_and_its_button_stops_the_model(full):
    uri = opened(full, "#endless\nold = 1\n")
    earlier = len(from_server(full, CREATE, 0))
    asked = ask_resolve(full, "simplify", uri, (1, 0), (2, 0))
    token = from_server(full, CREATE, earlier + 1)[-1]["token"]
    full.wait(lambda: len(progress_of(full, token)) > 3, "some reports")
    full.notify("window/workDoneProgress/cancel", {"token": token})
    before = messages(full)
    assert "edit" not in full.answer(asked)
    first, *reports, last = progress_of(full, token)
    assert (first["kind"], first["title"], first["cancellable"]) == ("begin", "Starfill: simplify", True)
    assert all("percentage" not in each for each in (first, *reports))
    counts = [int(each["message"].split()[0]) for each in reports if each["message"] != "reading"]
    assert counts == sorted(set(counts))
    assert len(counts) >= 2
    assert last == {"kind": "end"}
    assert notes(full)[-1] == "stopped refactor"
    assert messages(full) == before  # the user knows
