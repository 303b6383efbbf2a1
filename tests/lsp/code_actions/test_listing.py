"""What is on offer, for whom, and why not."""

import time

import pytest

from lsp.asking import action, ask_actions, ask_resolve, diagnostic
from lsp.params import replace
from lsp.profiles import FULL, MEDIUM
from starfill.code.languages import tree_of

TEXT = "def f(a):\n    return a\n\n\nx = f(1)\n"
PYTHON = ["explain", "simplify", "add docstring", "add type annotations", "write tests", "optimise"]
URI = "file:///list.py"


def titles(actions):
    return [each["title"].removeprefix("Starfill: ") for each in actions]


@pytest.fixture
def python(full):
    full.open(URI, TEXT)
    yield full
    full.close(URI)


def test_capabilities(full, minimal):
    provider = full.initialize_result["capabilities"]["codeActionProvider"]
    assert provider == {
        "codeActionKinds": ["quickfix", "refactor", "refactor.rewrite", "source"],
        "resolveProvider": True,
        "workDoneProgress": True,
    }
    assert full.initialize_result["capabilities"]["workspace"]["textDocumentContent"] == {"schemes": ["starfill"]}
    assert full.initialize_result["capabilities"]["executeCommandProvider"]["workDoneProgress"] is True
    assert "textDocumentContent" not in minimal.initialize_result["capabilities"]["workspace"]


BROKEN = diagnostic(1, "undefined\nname")
LONG = diagnostic(4, "words " * 40)


@pytest.mark.parametrize(
    ("end", "more", "expected"),
    [
        ((0, 5), {}, [*PYTHON, "Say hello", "Review"]),  # asked for: also with nothing selected
        ((2, 0), {}, [*PYTHON, "Say hello", "Review"]),
        ((2, 0), {"trigger": 2}, [*PYTHON, "Say hello", "Review"]),
        ((0, 5), {"trigger": 2}, []),
        ((0, 5), {"trigger": 2, "diagnostics": [BROKEN]}, ["fix: undefined name", "Mend: undefined name"]),
        ((2, 0), {"only": ["refactor"]}, [*PYTHON, "Say hello"]),
        ((2, 0), {"only": ["refactor.rewrite"]}, [*PYTHON[1:4], "optimise", "Say hello"]),
        ((2, 0), {"only": ["refactor.rewrite.own"]}, []),
        ((2, 0), {"only": ["quickfix"]}, []),
        ((2, 0), {"only": ["source", "notebook"]}, ["Review"]),
        ((2, 0), {"only": ["source.fixAll"]}, []),
        ((2, 0), {"only": ["ref"]}, []),
        ((2, 0), {"only": [""], "diagnostics": [BROKEN]}, [*PYTHON[:5], "fix: undefined name", "optimise", "Say hello",
                                                          "Mend: undefined name", "Review"]),
        ((2, 0), {"only": ["quickfix"], "diagnostics": [BROKEN, LONG]}, [
            "fix: undefined name", f"fix: {('words ' * 9)}words…", "Mend: undefined name",
            f"Mend: {('words ' * 9)}words…"]),
    ],
)  # fmt: skip
def test_what_is_offered(python, end, more, expected):
    assert titles(ask_actions(python, URI, (0, 5), end, **more)) == expected


def test_what_a_language_is_not_meant_for_is_not_offered(full):
    full.open("file:///list.lua", "x = 1\n", "lua")
    offered = titles(ask_actions(full, "file:///list.lua", (0, 0), (0, 5)))
    assert offered == [title for title in PYTHON if title != "add type annotations"] + ["Say hello", "Note", "Review"]


def test_an_action_that_edits_is_lazy_and_one_that_does_not_is_a_command(python):
    simplify = action(python, "simplify", URI, (0, 0), (2, 0))
    where = {"start": {"line": 0, "character": 0}, "end": {"line": 2, "character": 0}}
    assert simplify == {
        "title": "Starfill: simplify",
        "kind": "refactor.rewrite",
        "data": {"uri": URI, "range": where, "version": 1, "action": "refactor"},
        "tags": [1],
    }
    for title in ("explain", "write tests", "Review"):
        each = action(python, title, URI, (0, 0), (2, 0))
        assert "data" not in each
        assert each["command"]["command"] == "starfill.instruct"
        assert each["command"]["arguments"][0]["uri"] == URI


def test_a_fix_carries_its_diagnostic(python):
    problem = diagnostic(1, "a is wrong", source="pyright", code="reportWrong")
    fix = action(python, "fix", URI, (1, 4), (1, 4), diagnostics=[problem])
    assert (fix["kind"], fix["diagnostics"]) == ("quickfix", [problem])
    assert fix["data"]["problem"] == "a is wrong (pyright reportWrong), in the line `return a`"
    assert fix["data"]["range"] == problem["range"]
    assert action(python, "fix", URI, (0, 0), (2, 0), diagnostics=[problem])["data"]["range"]["end"]["line"] == 2
    outside = diagnostic(99, "is elsewhere", code=7)
    assert action(python, "fix", URI, (0, 0), (0, 0), diagnostics=[outside])["data"]["problem"] == "is elsewhere (7)"


def test_no_tags_for_a_client_without_them(medium):
    medium.open(URI, TEXT)
    assert all("tags" not in each for each in ask_actions(medium, URI, (0, 0), (2, 0)))


def test_a_client_that_can_not_resolve_gets_commands(start):
    profile = {"textDocument": {"codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}}}}}
    client = start(profile)
    client.wait_for_state("ready")
    client.open(URI, TEXT)
    actions = ask_actions(client, URI, (0, 0), (2, 0))
    assert titles(actions) == PYTHON
    assert {each["command"]["command"] for each in actions} == {"starfill.instruct"}
    assert all("data" not in each for each in actions)


def test_a_client_without_literals_gets_nothing_but_commands(minimal):
    minimal.open(URI, TEXT)
    actions = ask_actions(minimal, URI, (0, 0), (2, 0), diagnostics=[diagnostic(1, "wrong")])
    assert {"Starfill: fix: wrong", "Starfill: explain"} < {each["title"] for each in actions}
    assert all(each.keys() == {"title", "command", "arguments"} for each in actions)
    assert {each["command"] for each in actions} == {"starfill.instruct"}


# Why not


@pytest.mark.parametrize(
    ("uri", "end", "reason"),
    [
        ("file:///secret.env", (0, 5), 'Starfill is off for /secret.env: the setting excludedGlobs lists "**/*.env"'),
        ("file:///long.py", (400, 0), "too long: select less code"),
    ],
)
def test_actions_that_are_not_to_be_had_say_why(full, uri, end, reason):
    full.open(URI, TEXT)
    full.answer(ask_resolve(full, "simplify", URI, (0, 0), (2, 0)))  # so that the instructor is there
    full.open(uri, TEXT * 100)
    actions = ask_actions(full, uri, (0, 0), end)
    assert len(actions) == 8
    assert {each["disabled"]["reason"] for each in actions} == {reason}
    assert ask_actions(full, uri, (0, 0), end, trigger=2) == []  # nobody has asked


def test_a_client_without_disabled_actions_gets_none(minimal):
    minimal.open("file:///secret.env", TEXT)
    assert ask_actions(minimal, "file:///secret.env", (0, 0), (0, 5)) == []


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("missing", "The folder missing has no config.json: name a checkpoint folder."),
        ("forever", "the model is still loading"),
    ],
)
def test_without_a_model_nothing_is_to_be_had(start, model, reason):
    client = start(MEDIUM, {"model": model})
    client.wait_for_state("error" if model == "missing" else "loading")
    client.open(URI, TEXT)
    assert {each["disabled"]["reason"] for each in ask_actions(client, URI, (0, 0), (2, 0))} == {reason}


def test_a_language_that_is_switched_off(start):
    client = start(FULL, {"enabledLanguages": ["go"]})
    client.wait_for_state("ready")
    client.open(URI, TEXT)
    (reason,) = {each["disabled"]["reason"] for each in ask_actions(client, URI, (0, 0), (2, 0))}
    assert reason.startswith('Starfill is off for the language "python"')


@pytest.mark.parametrize("place", [(99, 0), (2**31 - 1, 0)])
def test_a_place_outside_the_document(python, place):
    """Clamped as the protocol says."""
    assert titles(ask_actions(python, URI, place, place)) == [*PYTHON, "Say hello", "Review"]


def test_a_document_that_is_not_open(full):
    assert ask_actions(full, "file:///not_open.py", (0, 0), (0, 0)) == []


def test_ten_thousand_lines_are_listed_at_once(full):
    """Within 10 ms, which benchmarks/ measures; here only that it takes nowhere near the CPU time of a parse."""

    def cpu_seconds():
        return float(full.inline("file:///cpu.py", 0, 0)[0]["insertText"])

    def parsed():
        before = time.thread_time()
        tree_of(TEXT * 2000, "python")
        return time.thread_time() - before

    uri = "file:///large.py"
    full.open(uri, TEXT * 2000)
    diagnostics = [diagnostic(line, f"problem {line}") for line in range(9000, 9020)]
    for line in range(5000, 5005):
        full.change(uri, replace((line, 0), (line, 0), "#"))
    ask_actions(full, uri, (9000, 0), (9020, 0), diagnostics=diagnostics)
    full.open("file:///cpu.py", "#cpu")
    before = cpu_seconds()
    for line in range(9000, 9020):
        offered = ask_actions(full, uri, (line, 0), (line + 10, 0), diagnostics=diagnostics)
        assert len(offered) == 48
    one = (cpu_seconds() - before) / 20
    assert one < min(parsed() for _ in range(3)) / 2
    full.close(uri)
