"""Names: variables that nothing uses, and names that say what they mean."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from random import Random

from instructions.source import Edit, Source, names, walk

SHORT = ("x", "y", "n", "v", "s", "t", "a", "b", "d", "tmp", "val", "foo", "data1", "res", "obj")
UNUSED = (
    "tmp = None",
    "count = 0",
    "result = []",
    "unused = 0",
    "found = False",
    "flag = True",
    "data = {}",
    "temp = ''",
)
Function = ast.FunctionDef | ast.AsyncFunctionDef  # also for isinstance


def functions(source: Source) -> Iterator[Function]:
    return (n for n in source.nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


def first_statement(function: Function) -> ast.stmt:
    """The first one after the docstring (the docstring if there is nothing else)."""
    has_more = len(function.body) > 1 and ast.get_docstring(function, clean=False) is not None
    return function.body[1] if has_more else function.body[0]


def with_unused_variable(source: Source) -> Iterator[Edit]:
    """A variable that nothing uses, before a function's first statement; removing it is the task."""
    for function in functions(source):
        statement = first_statement(function)
        pad = source.indent(statement)
        rng = Random(function.name + str(len(source.of(function))))
        line = rng.choice(UNUSED)
        if pad.isspace() and line.split()[0] not in names(function):
            at = source.start(statement)
            yield Edit(at, at, f"{line}\n{pad}")


def local_variables(function: Function) -> list[str]:
    """Names that the function assigns itself; none if it mixes scopes (global, nested functions, lambdas)."""
    mixed = (ast.Global, ast.Nonlocal, ast.Lambda, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if any(isinstance(n, mixed) for s in function.body for n in ast.walk(s)):
        return []
    stored = [
        n.id for s in function.body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]
    parameters = {n.arg for n in ast.walk(function.args) if isinstance(n, ast.arg)}
    in_f_strings = {
        n.id for j in ast.walk(function) if isinstance(j, ast.JoinedStr) for n in ast.walk(j) if isinstance(n, ast.Name)
    }
    in_excepts = {n.name for n in ast.walk(function) if isinstance(n, ast.ExceptHandler)}
    left_alone = parameters | in_f_strings | in_excepts | set(dir(builtins))
    return [n for n in dict.fromkeys(stored) if n not in left_alone]


def renamed(source: Source, function: Function, old: str, new: str) -> list[Edit]:
    """Edits that call the local variable `old` `new`, in the code and where comments name it."""
    found = [n for n in walk(function) if isinstance(n, ast.Name) and n.id == old]
    edits = [source.replace(n, n, new) for n in found]
    start, end = source.start(function), source.end(function)
    for comment in re.finditer(r"#.*", source.text[start:end]):
        for match in re.finditer(rf"\b{re.escape(old)}\b", comment[0]):
            at = start + comment.start() + match.start()
            edits.append(Edit(at, at + len(old), new))
    return edits


def worse_name(function: Function, name: str) -> str | None:
    """A short name that the function doesn't use: its first letter, or one that says nothing."""
    taken = names(function)
    rng = Random(function.name + name)
    choices = [c for c in [name[0], *rng.sample(SHORT, 4)] if c not in taken and c != name]
    return choices[0] if choices and name[0].isalpha() else None
