"""Tests for functions that can be run: what they give for made-up inputs, as assertions."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from random import Random

from instructions import behaviour, phrasing
from instructions.example import Example

MIN_ASSERTIONS = 2
MAX_VALUE = 60  # characters of a result that is worth writing down


def assertions(name: str, calls: Sequence[tuple[list[object], str]]) -> list[str]:
    """`assert name(arguments) == value` for every call whose value is a literal."""
    found = []
    for arguments, text in calls:
        if len(text) <= MAX_VALUE and is_literal(text):
            operator = "is" if text in ("True", "False", "None") else "=="
            found.append(f"assert {name}({', '.join(map(repr, arguments))}) {operator} {text}")
    return list(dict.fromkeys(found))


def is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return True


def examples(found: Sequence[Example], limit: int, rng: Random) -> list[Example]:
    """Tests of the functions among the examples' outputs."""
    functions = dict.fromkeys(e.output for e in found if e.code and e.output.startswith("def ") and len(e.output) < 500)
    made = []
    for code, calls in zip(functions, behaviour.ask({"code": code} for code in functions), strict=True):
        name = code[4 : code.index("(")]
        lines = assertions(name, calls or [])
        if len(lines) >= MIN_ASSERTIONS and len(made) < limit:
            body = "\n".join(f"    {line}" for line in lines)
            made.append(Example("tests", phrasing.instruction("tests", rng), code, f"def test_{name}():\n{body}"))
    return made
