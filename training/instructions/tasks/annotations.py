"""Signatures with and without their types."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from instructions.crop import MAX_CHARS, dedented, whole_lines
from instructions.source import Edit, Source, apply
from instructions.tasks.names import Function, functions


def parameters(function: Function) -> list[tuple[ast.arg, ast.expr | None]]:
    """All parameters with their defaults."""
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
    found = [*zip(positional, defaults, strict=True), *zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return found + [(a, None) for a in (args.vararg, args.kwarg) if a is not None]


def without_types(source: Source, function: Function) -> list[Edit]:
    """Edits that take the annotations of the signature away, and the spaces around defaults with them."""
    edits = []
    for parameter, default in parameters(function):
        if parameter.annotation is None:
            continue
        after_name = source.offset(parameter.lineno, parameter.col_offset) + len(parameter.arg)
        if default is not None:
            edits.append(Edit(after_name, source.start(default), "="))
        else:
            edits.append(Edit(after_name, source.end(parameter.annotation), ""))
    if function.returns is not None:
        arrow = source.text.rindex("->", 0, source.start(function.returns))
        before = len(source.text[:arrow].rstrip())
        edits.append(Edit(before, source.end(function.returns), ""))
    return edits


def is_fully_typed(function: Function) -> bool:
    """True if every parameter but self or cls has a type, and so has the result."""
    own = [p for p, _ in parameters(function) if p.arg not in ("self", "cls")]
    return bool(own) and function.returns is not None and all(p.annotation is not None for p in own)


def typed(source: Source) -> Iterator[tuple[str, str]]:
    """(function without types, the same with them), short ones; overloads and stubs left out."""
    for function in functions(source):
        crop = whole_lines(source, function, function)
        if not crop or crop.end - crop.start > MAX_CHARS or not is_fully_typed(function):
            continue
        if "overload" in source.text[crop.start : source.start(function.body[0])] or source.of(function).endswith(
            "..."
        ):
            continue
        text = source.text[crop.start : crop.end]
        edits = [Edit(e.start - crop.start, e.end - crop.start, e.text) for e in without_types(source, function)]
        bare, whole = dedented(apply(text, edits)), dedented(text)
        if bare and whole:
            yield bare, whole
