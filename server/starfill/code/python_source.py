"""Python's own parser, for text that may be anything."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)  # what the compiler raises for arbitrary text
_WORDS = (ast.Expr, ast.Name, ast.Load, ast.Compare, ast.cmpop, ast.BoolOp, ast.boolop, ast.Tuple, ast.UnaryOp, ast.Not)


def parsed(code: str) -> ast.Module | None:
    """The syntax tree; None if the text isn't Python."""
    try:
        with _quiet():
            return ast.parse(code)
    except NOT_PYTHON:
        return None


def compiles(code: str) -> bool:
    """More than parsing: a `return` outside of a function doesn't compile."""
    try:
        with _quiet():
            _compile(code)
    except NOT_PYTHON:
        return False
    return True


def compiling_head(code: str) -> str:
    """Without the last lines, as few as necessary for the rest to compile. Ends with a line end, or is empty.

    What is dropped are explanations and unfinished functions. Lines end with "\n".
    """
    lines = code.rstrip().split("\n")
    while lines:
        try:
            with _quiet():
                _compile("\n".join(lines))
            break
        except SyntaxError as error:
            # before Python 3.12 its line number counts within the string
            in_string = (error.msg or "").startswith("f-string")
            wrong = error.lineno if error.lineno and not in_string else len(lines)
            del lines[max(0, min(wrong, len(lines)) - 1) :]  # nothing from there on can be right
        except NOT_PYTHON:
            lines.pop()
    return "".join(f"{line}\n" for line in lines)


def is_only_words(tree: ast.Module) -> bool:
    """Whether the code is what an English phrase parses as: "Done", "This is it", "yes, and not that"."""
    nodes = [node for node in ast.walk(tree) if node is not tree]
    return bool(nodes) and all(isinstance(node, _WORDS) for node in nodes)


def _compile(code: str) -> None:
    compile(code, "<answer>", "exec", dont_inherit=True)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "invalid escape sequence" is no concern of ours
        yield
