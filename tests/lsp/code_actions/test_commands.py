"""`starfill.instruct`: what it takes, and what an editor gets that can't resolve, or wants it in its own words."""

import itertools

import pytest

from lsp.asking import action, apply, execute, from_server, instruct, messages, notes, open_gate, progress_of
from lsp.connection import ResponseError
from lsp.params import position, replace, silence

NUMBERS = itertools.count()
APPLY = "workspace/applyEdit"
TEXT = "def f(a):\n    old = a\n    return old\n"


def opened(client, text=TEXT):
    uri = f"file:///command{next(NUMBERS)}.py"
    client.open(uri, text)
    return uri


def order(uri, start=(0, 0), end=(3, 0), **more):
    return {"uri": uri, "range": {"start": position(*start), "end": position(*end)}} | more


@pytest.fixture(autouse=True)
def obedient(full, medium, minimal):
    """The clients apply what they are sent; ALE does so without an answer."""
    for client in (full, medium):
        client.answers[APPLY] = lambda params: {"applied": True}
    minimal.answers[APPLY] = silence


def next_edit(client, ask):
    """The params of the applyEdit that `ask` leads to."""
    before = len(from_server(client, APPLY, 0))
    assert ask() is None  # answered at once
    return from_server(client, APPLY, before + 1)[-1]


@pytest.mark.parametrize("profile", ["full", "medium", "minimal"])
def test_an_instruction_in_ones_own_words(request, profile):
    client = request.getfixturevalue(profile)
    uri = opened(client)
    params = next_edit(client, lambda: instruct(client, order(uri, instruction="Use better names.")))
    assert params["label"] == "Starfill: ask"
    edit = params["edit"]
    if profile == "minimal":
        assert apply(TEXT, edit["changes"][uri]) == TEXT.replace("old", "new")
    else:
        (change,) = edit["documentChanges"]
        assert change["textDocument"] == {"uri": uri, "version": 1}
        assert apply(TEXT, change["edits"]) == TEXT.replace("old", "new")
        assert edit["changeAnnotations"]["starfill"]["needsConfirmation"] is True
    assert f"asked ask 'Use better names.' Span(start=0, end={len(TEXT)})" in notes(client)


def test_the_command_of_a_client_without_literals(minimal):
    uri = opened(minimal)
    params = next_edit(minimal, lambda: execute(minimal, action(minimal, "add docstring", uri, (0, 0), (3, 0))))
    assert params["label"] == "Starfill: add docstring"
    assert "asked docstring 'Add a docstring to this function.'" in notes(minimal)[-1]


def test_a_problem_in_ones_own_words(full):
    uri = opened(full)
    next_edit(full, lambda: instruct(full, order(uri, action="fix", problem="it is slow")))
    assert "asked fix 'Fix this problem in the code: it is slow'" in notes(full)[-1]


def test_a_range_the_wrong_way_round(full):
    uri = opened(full)
    next_edit(full, lambda: instruct(full, order(uri, (2, 3), (0, 0), action="refactor")))
    assert notes(full)[-1].endswith("Span(start=0, end=25)")


SHAPE = 'starfill.instruct takes one argument, an object with "uri", "range" and "action" or "instruction"'
RANGE = (
    '"range" of starfill.instruct must have "start" and "end", each with a "line" and a "character" of 0 or more, but'
)
OPEN = "file:///open.py"
WHERE = {"start": position(0, 0), "end": position(1, 0)}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], f"{SHAPE}; it got 0 arguments."),
        ([order(OPEN), order(OPEN)], f"{SHAPE}; it got 2 arguments."),
        (["explain"], f'{SHAPE}; it got "explain".'),
        ([["x" * 100]], f'{SHAPE}; it got ["{"x" * 58}….'),
        ([{"range": WHERE, "action": "explain"}], '"uri" of starfill.instruct must be a text, but is null.'),
        ([{"uri": OPEN, "action": "explain"}], f"{RANGE} is null."),
        ([{"uri": OPEN, "range": {}, "action": "explain"}], f"{RANGE} is {{}}."),
        ([order(OPEN, (-1, 0), action="explain")], f'{RANGE} is {{"start": {{"line": -1, "character": 0}},'),
        ([order(OPEN, (1.5, 0), action="explain")], f'{RANGE} is {{"start": {{"line": 1.5, "character": 0}},'),
        ([order(OPEN, (True, 0), action="explain")], RANGE),
        ([order(OPEN)], 'starfill.instruct needs either "action" or "instruction".'),
        ([order(OPEN, action="explain", instruction="Hm.")], 'needs either "action" or "instruction".'),
        ([order(OPEN, instruction="  ")], 'needs either "action" or "instruction".'),
        ([order(OPEN, instruction=7)], '"instruction" of starfill.instruct must be a text, but is 7.'),
        ([order(OPEN, action="explain", problem=[])], '"problem" of starfill.instruct must be a text, but is [].'),
        ([order(OPEN, action="explain", version="1")], '"version" of starfill.instruct must be a whole number'),
        (
            [order(OPEN, action="dance")],
            'There is no action "dance" for the language "python"; the known ones are explain, refactor, docstring,'
            " types, tests, fix, optimise, Say hello, Mend, Review.",
        ),
        (
            [order(OPEN, action="explain", wish="all")],
            'starfill.instruct knows no "wish"; it knows uri, range, action, instruction, problem, version.',
        ),
        ([order("file:///closed.py", action="explain")], "The document file:///closed.py is not open."),
        ([order(OPEN, (3, 0), (3, 0), action="explain")], f"Line 3 is outside of {OPEN}, which has 2 lines."),
        ([order(OPEN, action="explain", version=9)], f"{OPEN} has changed there since its actions were listed"),
    ],
)
def test_arguments_that_make_no_sense(full, arguments, sentence):
    full.open(OPEN, "a = 1\n")
    before = len(notes(full))
    with pytest.raises(ResponseError) as error:
        instruct(full, *arguments)
    assert error.value.code == -32602
    assert sentence in error.value.message
    assert len(notes(full)) == before  # nobody was asked


def test_no_arguments_at_all(full):
    with pytest.raises(ResponseError, match="it got 0 arguments"):
        full.request("workspace/executeCommand", {"command": "starfill.instruct"})


# What goes wrong is said


@pytest.mark.parametrize(
    ("uri", "text", "sentence"),
    [
        ("file:///refused.py", "#refuse\nold\n", "The answer was cut off by the token limit."),
        ("file:///crashed.py", "#crash\nold\n", "internal error: RuntimeError: boom"),
        ("file:///secret.env", "old\n", "Starfill is off for /secret.env"),
    ],
)
def test_a_refusal_is_a_message(full, uri, text, sentence):
    full.open(uri, text)
    before = len(from_server(full, APPLY, 0))
    instruct(full, order(uri, (0, 0), (1, 0), instruction="Go."))
    full.wait_for("window/showMessage", lambda shown: sentence in shown["message"])
    assert len(from_server(full, APPLY, 0)) == before


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"applied": False, "failureReason": "too late"}, "ask: the editor has not applied the edit: too late"),
        ({"applied": False}, "ask: the editor has not applied the edit"),
        (ResponseError({"code": -32601, "message": "no such method"}), "ask: the editor can't apply the edit: no such"),
    ],
)
def test_an_edit_that_the_editor_refuses(full, answer, sentence):
    def refuse(params):
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    full.answers[APPLY] = refuse
    before = len(messages(full))
    instruct(full, order(opened(full), instruction="Go."))
    full.wait_for("window/showMessage", lambda shown: sentence in shown["message"] and messages(full)[before:])
    assert messages(full)[-1].startswith(f"Starfill: {sentence}")


def test_a_rewrite_that_does_not_parse_is_announced(minimal):
    uri = opened(minimal, "#broken\nold = 1\n")
    next_edit(minimal, lambda: instruct(minimal, order(uri, (1, 0), (2, 0), action="refactor")))
    assert messages(minimal)[-1] == "Starfill: simplify: does not parse"


# While the model writes


def test_an_edit_is_moved_also_here(minimal):
    uri = opened(minimal, "#gate\n" + TEXT)
    before = len(from_server(minimal, APPLY, 0))
    instruct(minimal, order(uri, (1, 0), (4, 0), action="refactor"))
    minimal.wait_for_state("busy")
    minimal.change(uri, replace((0, 5), (0, 5), "\n"))
    open_gate(minimal, uri)
    edit = from_server(minimal, APPLY, before + 1)[-1]["edit"]
    assert apply("#gate\n\n" + TEXT, edit["changes"][uri]) == "#gate\n\n" + TEXT.replace("old", "new")


def test_an_edit_of_code_that_has_changed_is_dropped(minimal):
    uri = opened(minimal, "#gate\n" + TEXT)
    before = len(from_server(minimal, APPLY, 0))
    instruct(minimal, order(uri, (1, 0), (4, 0), action="refactor"))
    minimal.wait_for_state("busy")
    said = len(messages(minimal))
    minimal.change(uri, replace((2, 5), (2, 6), "x"))
    minimal.wait(lambda: messages(minimal)[said:], "a message")
    assert "the code was changed while the model was writing" in messages(minimal)[-1]
    assert notes(minimal)[-1] == "stopped refactor"
    assert len(from_server(minimal, APPLY, 0)) == before


def test_the_clients_own_progress_counts_and_stops(full):
    uri = opened(full, "#endless\nold\n")
    before, said = len(from_server(full, APPLY, 0)), messages(full)
    created = len(from_server(full, "window/workDoneProgress/create", 0))
    token = f"mine{next(NUMBERS)}"
    instruct(full, order(uri, (1, 0), (2, 0), action="refactor"), token=token)
    full.wait(lambda: len(progress_of(full, token)) > 3, "some reports")
    full.notify("window/workDoneProgress/cancel", {"token": token})
    full.wait_for_state("ready")
    first, *reports, last = progress_of(full, token)
    assert (first["kind"], first["title"], last) == ("begin", "Starfill: simplify", {"kind": "end"})
    assert reports[-1]["message"].endswith(" tokens")
    assert len(from_server(full, "window/workDoneProgress/create", 0)) == created
    assert len(from_server(full, APPLY, 0)) == before
    assert notes(full)[-1] == "stopped refactor"
    assert messages(full) == said


def test_completions_go_on_beside_an_action(full):
    busy = opened(full, "#gate\nold\n")
    instruct(full, order(busy, (1, 0), (2, 0), action="refactor"))
    full.wait_for_state("busy")
    assert notes(full)[-1].startswith("asked refactor")
    before = len(from_server(full, APPLY, 0))
    open_gate(full, busy)
    from_server(full, APPLY, before + 1)


def test_the_end_comes_at_once_also_while_an_action_runs(start):
    client = start()
    client.wait_for_state("ready")
    uri = opened(client, "#endless\nold\n")
    instruct(client, order(uri, (1, 0), (2, 0), action="refactor"))
    client.wait_for_state("busy")
    assert client.shutdown() == 0
