"""Working code broken in one place, in the ways that editors report, with a message in a linter's words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from instructions.source import Edit, Source, walk
from instructions.tasks.names import functions, local_variables, with_unused_variable


@dataclass(frozen=True)
class Fault:
    """The edit that breaks the code, and what a linter or Python says about it."""

    edit: Edit
    problem: str


def misspelt(source: Source) -> Iterator[Fault]:
    """One use of a local variable with two letters swapped."""
    for function in functions(source):
        known = [n for n in local_variables(function) if len(n) > 3]
        uses = [n for n in walk(function) if isinstance(n, ast.Name) and n.id in known and isinstance(n.ctx, ast.Load)]
        if uses:
            node = uses[-1]
            at = 1 + len(function.name) % (len(node.id) - 2)
            wrong = node.id[:at] + node.id[at + 1] + node.id[at] + node.id[at + 2 :]
            if wrong not in known:
                yield Fault(source.replace(node, node, wrong), f"Undefined name `{wrong}`")


def without_self(source: Source) -> Iterator[Fault]:
    """self.name read as plain `name` in a method."""
    for function in functions(source):
        if not function.args.args or function.args.args[0].arg != "self":
            continue
        read = [
            n
            for n in walk(function)
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self"
            if isinstance(n.ctx, ast.Load)
        ]
        taken = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
        if read and read[-1].attr not in taken:
            yield Fault(source.replace(read[-1], read[-1], read[-1].attr), f"Undefined name `{read[-1].attr}`")


def without_colon(source: Source) -> Iterator[Fault]:
    """The colon at the end of an if, for, while, with or def line left out."""
    for node in source.nodes:
        if isinstance(node, (ast.If, ast.For, ast.While, ast.With, ast.FunctionDef)):
            before = source.text[: source.start(node.body[0])].rstrip()
            if before.endswith(":"):
                yield Fault(Edit(len(before) - 1, len(before), ""), "SyntaxError: expected ':'")


def unclosed(source: Source) -> Iterator[Fault]:
    """The last closing bracket of a one-line statement left out."""
    for node in source.nodes:
        if isinstance(node, (ast.Assign, ast.Return, ast.Expr)) and node.lineno == node.end_lineno:
            end = source.end(node)
            if source.text[end - 1] == ")" and "(" in source.of(node):
                yield Fault(Edit(end - 1, end, ""), "SyntaxError: '(' was never closed")


def bare_except(source: Source) -> Iterator[Fault]:
    for match in re.finditer(r"^ *except Exception:", source.text, re.MULTILINE):
        yield Fault(Edit(match.end() - len(" Exception:"), match.end(), ":"), "Do not use bare `except`")


def without_return(source: Source) -> Iterator[Fault]:
    """A function's last line without its `return`, where that is its only one."""
    for function in functions(source):
        last = function.body[-1]
        returns = [n for n in walk(function) if isinstance(n, ast.Return)]
        if isinstance(last, ast.Return) and last.value is not None and len(returns) == 1 and len(function.body) > 1:
            at = source.start(last)
            if source.text.startswith("return ", at) and not isinstance(last.value, ast.Constant):
                yield Fault(Edit(at, at + len("return "), ""), f"`{function.name}` always returns None")


def unused_variable(source: Source) -> Iterator[Fault]:
    for edit in with_unused_variable(source):
        yield Fault(edit, f"Local variable `{edit.text.split()[0]}` is assigned to but never used")


FAULTS = (misspelt, without_self, without_colon, unclosed, bare_except, without_return, unused_variable)


def faults(source: Source, rng: Random) -> Iterator[Fault]:
    """At most two faults of each kind."""
    for find in FAULTS:
        found = list(find(source))
        yield from rng.sample(found, min(2, len(found)))
