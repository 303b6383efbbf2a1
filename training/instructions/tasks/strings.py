"""Strings put together by +, % or format, and as f-strings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from string import Formatter

from instructions.source import Edit, Source

PLAIN_STRING = re.compile(r"""(?P<quote>["'])(?P<inside>(?:(?!(?P=quote))[^\\\n])*)(?P=quote)""")
F_STRING = re.compile(r"""f(?P<quote>["'])(?P<inside>(?:(?!(?P=quote))[^\\\n])*)(?P=quote)""")
PERCENT = re.compile(r"%[sr%]")
SIMPLE = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)


def inside(text: str) -> tuple[str, str] | None:
    """Quote and content of a plain string literal on one line without backslashes."""
    found = PLAIN_STRING.fullmatch(text)
    return (found["quote"], found["inside"]) if found else None


def field(source: Source, node: ast.expr, quote: str, conversion: str = "") -> str | None:
    """`{expression}`, or None if it can't stand inside that quote."""
    text = source.of(node)
    if not isinstance(node, SIMPLE) or len(text) > 40 or any(c in text for c in (quote, "\\", "\n", "{", "!")):
        return None
    return "{" + text + conversion + "}"


def f_string(quote: str, parts: list[str | None]) -> str | None:
    return None if None in parts else f"f{quote}{''.join(p for p in parts if p)}{quote}"


def escaped(literal: str) -> str:
    return literal.replace("{", "{{").replace("}", "}}")


def from_percent(source: Source, node: ast.BinOp) -> str | None:
    """ "%s is %r" % (a, b) -> f"{a} is {b!r}" """
    found = inside(source.of(node.left))
    values = list(node.right.elts) if isinstance(node.right, ast.Tuple) else [node.right]
    if not found or "%" not in found[1] or any(isinstance(v, ast.Starred) for v in values):
        return None
    quote, text = found
    literals, marks = PERCENT.split(text), PERCENT.findall(text)
    if any("%" in part for part in literals) or len([m for m in marks if m != "%%"]) != len(values):
        return None
    parts: list[str | None] = [escaped(literals[0])]
    for mark, literal in zip(marks, literals[1:], strict=True):
        value = "%" if mark == "%%" else field(source, values.pop(0), quote, "!r" if mark == "%r" else "")
        parts += [value, escaped(literal)]
    return f_string(quote, parts)


def from_format(source: Source, node: ast.Call) -> str | None:
    """ "{} is {name}".format(a, name=b) -> f"{a} is {b}" """
    assert isinstance(node.func, ast.Attribute)
    found = inside(source.of(node.func.value))
    if not found or any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
        return None
    quote, text = found
    by_name = {k.arg: k.value for k in node.keywords} | {str(i): a for i, a in enumerate(node.args)}
    used: set[str] = set()
    parts: list[str | None] = []
    try:
        pieces = list(Formatter().parse(text))
    except ValueError:
        return None
    for number, (literal, name, spec, conversion) in enumerate(pieces):
        parts.append(escaped(literal))
        if name is not None:
            key = name or str(number)
            if spec or key not in by_name:
                return None
            used.add(key)
            parts.append(field(source, by_name[key], quote, f"!{conversion}" if conversion else ""))
    return f_string(quote, parts) if used == set(by_name) else None


def terms(node: ast.expr) -> list[ast.expr]:
    """The operands of a chain of +."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*terms(node.left), node.right]
    return [node]


def is_str_call(node: ast.expr) -> bool:
    plain = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords
    return plain and node.func.id == "str" and len(node.args) == 1  # type: ignore[attr-defined]


def from_sum(source: Source, node: ast.BinOp) -> str | None:
    """ "a" + str(x) + "b" -> f"a{x}b": literals and str(...) only, so that every part is a string."""
    parts: list[str | None] = []
    quotes = {found[0] for t in terms(node) if isinstance(t, ast.Constant) and (found := inside(source.of(t)))}
    if len(quotes) != 1 or not any(map(is_str_call, terms(node))):
        return None
    (quote,) = quotes
    for term in terms(node):
        if is_str_call(term):
            parts.append(field(source, term.args[0], quote))  # type: ignore[attr-defined]
        elif isinstance(term, ast.Constant) and (found := inside(source.of(term))):
            parts.append(escaped(found[1]))
        else:
            return None
    return f_string(quote, parts)


def to_f_string(source: Source) -> Iterator[Edit]:
    """Concatenation, % and format as f-strings."""
    for node in source.nodes:
        made = None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            made = from_percent(source, node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            made = from_sum(source, node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            made = from_format(source, node)
        if made:
            yield source.replace(node, node, made)  # type: ignore[arg-type]


def pieces_of(text: str) -> tuple[str, list[str], list[str]] | None:
    """Quote, literals (one more) and expressions of an f-string of names, attributes, calls and subscripts only."""
    found = F_STRING.fullmatch(text)
    if not found or "{{" in text or "}}" in text or "%" in text:
        return None
    literals, fields = [""], list[str]()
    try:
        for literal, name, spec, conversion in Formatter().parse(found["inside"]):
            literals[-1] += literal
            if name is not None:
                if spec or conversion or not isinstance(ast.parse(name, mode="eval").body, SIMPLE) or "=" in name:
                    return None
                fields.append(name)
                literals.append("")
    except (ValueError, SyntaxError):
        return None
    return (found["quote"], literals, fields) if fields else None


def from_f_string(source: Source) -> Iterator[Edit]:
    """f-strings as %, format or a sum (by turns); the inverse of `to_f_string`."""
    for node in source.nodes:
        if not isinstance(node, ast.JoinedStr):
            continue
        pieces = pieces_of(source.of(node))
        if not pieces:
            continue
        quote, literals, fields = pieces
        way = (node.lineno + len(literals[0])) % 3
        if way == 0:
            values = fields[0] if len(fields) == 1 else f"({', '.join(fields)})"
            text = f"{quote}{'%s'.join(literals)}{quote} % {values}"
        elif way == 1:
            text = f"{quote}{'{}'.join(literals)}{quote}.format({', '.join(fields)})"
        else:
            parts = [f"{quote}{literals[0]}{quote}" if literals[0] else ""]
            for name, literal in zip(fields, literals[1:], strict=True):
                parts += [f"str({name})", f"{quote}{literal}{quote}" if literal else ""]
            text = " + ".join(p for p in parts if p)
        yield source.replace(node, node, text)
