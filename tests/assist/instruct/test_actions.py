"""The table of actions, and how an instruction is worded."""

from __future__ import annotations

import re

import pytest

from starfill.assist.instruct.actions import (
    ACTIONS,
    INSTRUCTIONS,
    MAX_PROBLEM,
    Placement,
    actions_for,
    custom_action,
    problem_text,
)
from starfill.config.parse import parse
from starfill.config.settings import Settings

KINDS = {
    "explain": ("refactor", Placement.SHOW),
    "refactor": ("refactor.rewrite", Placement.REPLACE),
    "docstring": ("refactor.rewrite", Placement.REPLACE),
    "types": ("refactor.rewrite", Placement.REPLACE),
    "tests": ("refactor", Placement.TESTS),
    "fix": ("quickfix", Placement.REPLACE),
    "optimise": ("refactor.rewrite", Placement.REPLACE),
}


def test_the_table() -> None:
    assert {name: (action.kind, action.placement) for name, action in ACTIONS.items()} == KINDS
    for name, action in ACTIONS.items():
        assert action.name == name and action.instruction == INSTRUCTIONS[name]
        assert re.fullmatch(r"Starfill: [a-z ]+", action.title)
    assert len({action.title for action in ACTIONS.values()}) == len(ACTIONS)


@pytest.mark.parametrize(("language", "missing"), [("python", set()), ("typescript", set()), ("lua", {"types"})])
def test_only_what_fits_the_language_is_offered(language: str, missing: set[str]) -> None:
    assert {action.name for action in actions_for(Settings(), language)} == ACTIONS.keys() - missing


def test_instructions_of_the_users_own() -> None:
    own = [
        {"title": "Use pathlib", "instruction": "Use pathlib instead of os.path.", "languages": ["python"]},
        {"title": "explain", "instruction": "Explain in German.", "placement": "show", "kind": "source"},
    ]
    settings, problems = parse({"instructions": own})
    assert problems == []
    actions = {action.name: action for action in actions_for(settings, "python")}
    assert list(actions) == [*ACTIONS, "Use pathlib"]
    assert actions["Use pathlib"].placement is Placement.REPLACE and actions["Use pathlib"].kind == "refactor.rewrite"
    assert actions["explain"].instruction == "Explain in German." and actions["explain"].kind == "source"
    assert "Use pathlib" not in {action.name for action in actions_for(settings, "go")}


def test_fix_names_the_problem() -> None:
    fix = ACTIONS["fix"]
    assert fix.wording() == "Fix the problem in this code."
    assert fix.wording("name {x}") == "Fix this problem in the code: name {x}"
    assert ACTIONS["explain"].wording("a problem") == "Explain what this code does."
    assert custom_action("Rename x to {problem}.").wording("y") == "Rename x to {problem}."


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("undefined name 'x'",), "undefined name 'x'"),
        (("undefined name 'x'", "ruff", "F821"), "undefined name 'x' (ruff F821)"),
        (("bad\n  type\n", "mypy"), "bad type (mypy)"),
        (("bad", "", "E1", "    y = x\n"), "bad (E1), in the line `y = x`"),
        (("bad", "", "", "  "), "bad"),
    ],
)
def test_a_diagnostic_as_a_problem(parts: tuple[str, ...], text: str) -> None:
    assert problem_text(*parts) == text


def test_long_messages_are_cut() -> None:
    assert len(problem_text("word " * 1000)) <= MAX_PROBLEM
