"""Conditions made plain: `return cond`, one `if` in place of two, `is None`, `not in`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from instructions.source import Edit, Source, is_one_line, parenthesised

YES_NO_CALLS = {"isinstance", "issubclass", "callable", "hasattr", "bool", "all", "any"}
YES_NO_METHODS = {
    "startswith",
    "endswith",
    "isdigit",
    "isalpha",
    "isalnum",
    "isspace",
    "isupper",
    "islower",
    "issubset",
}
OPPOSITE = {
    ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
WITH_OPPOSITE = tuple(OPPOSITE)  # < and >= are no opposites for sets and NaN
LOOSE_IN_AND = (ast.IfExp, ast.Lambda, ast.NamedExpr)
LOOSER_THAN_AND = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr)


def is_yes_no(node: ast.expr) -> bool:
    """True if the expression can only be True or False (for values that compare as usual)."""
    if isinstance(node, ast.BoolOp):
        return all(map(is_yes_no, node.values))
    if isinstance(node, ast.Call):
        function = node.func
        return (isinstance(function, ast.Name) and function.id in YES_NO_CALLS) or (
            isinstance(function, ast.Attribute) and function.attr in YES_NO_METHODS
        )
    return isinstance(node, ast.Compare) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))


def negated(source: Source, node: ast.expr) -> str:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return source.of(node.operand)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], WITH_OPPOSITE):
        return f"{source.of(node.left)} {OPPOSITE[type(node.ops[0])]} {source.of(node.comparators[0])}"
    return "not " + parenthesised(source, node, LOOSER_THAN_AND)


def returned_constant(statements: list[ast.stmt]) -> bool | None:
    """True or False if that is all that the statements return."""
    if len(statements) == 1 and isinstance(statements[0], ast.Return):
        value = statements[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, bool):
            return value.value
    return None


def return_condition(source: Source) -> Iterator[Edit]:
    """if C: return True; else (or next): return False -> return C."""
    for body in source.bodies:
        for i, node in enumerate(body):
            if not isinstance(node, ast.If) or source.is_elif(node) or not is_one_line(node.test):
                continue
            other, last = (node.orelse, node) if node.orelse else (body[i + 1 : i + 2], (body[i : i + 2])[-1])
            yes, no = returned_constant(node.body), returned_constant(other)
            if yes is None or no is None or yes == no or source.has_comment(node, last):
                continue
            text = source.of(node.test) if yes else negated(source, node.test)
            value = node.test.operand if not yes and isinstance(node.test, ast.UnaryOp) else node.test
            sure = is_yes_no(value) or (not yes and value is node.test)
            yield source.replace(node, last, f"return {text}" if sure else f"return bool({text})")


def spell_out_condition(source: Source) -> Iterator[Edit]:
    """return C -> if C: return True, and False otherwise; the inverse of `return_condition`."""
    for body in source.bodies:
        node = body[-1]
        if isinstance(node, ast.Return) and node.value and is_yes_no(node.value) and is_one_line(node):
            pad = "\n" + source.indent(node)
            if not pad.isspace():
                continue
            test, true, false = source.of(node.value), "return True", "return False"
            if isinstance(node.value, ast.UnaryOp):
                test, true, false = source.of(node.value.operand), false, true
            otherwise = f"{pad}else:{pad}    {false}" if node.lineno % 2 else f"{pad}{false}"
            yield source.replace(node, node, f"if {test}:{pad}    {true}{otherwise}")


def is_plain_body(source: Source, statements: list[ast.stmt]) -> bool:
    """True if the statements can be moved to another depth: on lines of their own, no strings over several lines."""
    strings = (n for s in statements for n in ast.walk(s) if isinstance(n, (ast.Constant, ast.JoinedStr)))
    return source.indent(statements[0]).isspace() and not any(n.lineno != n.end_lineno for n in strings)


def moved(source: Source, statements: list[ast.stmt], depth: int) -> str:
    """The statements' lines with 4 x `depth` more (or fewer) spaces; the first line from its first character."""
    lines = source.text[source.start(statements[0]) : source.end(statements[-1])].split("\n")
    if depth > 0:
        return "\n".join([lines[0], *("    " * depth + line if line.strip() else line for line in lines[1:])])
    return "\n".join(
        [lines[0], *(line[-4 * depth :] if line.startswith(" " * (-4 * depth)) else line for line in lines[1:])]
    )


def merge_ifs(source: Source) -> Iterator[Edit]:
    """if a: if b: body -> if a and b: body, where neither has an else."""
    for node in source.nodes:
        if not isinstance(node, ast.If) or node.orelse or source.is_elif(node) or len(node.body) != 1:
            continue
        inner = node.body[0]
        if not isinstance(inner, ast.If) or inner.orelse or not is_plain_body(source, inner.body):
            continue
        if (
            not is_one_line(node.test)
            or not is_one_line(inner.test)
            or source.indent(inner) != source.indent(node) + "    "
        ):
            continue
        if "#" in source.text[source.start(node) : source.start(inner.body[0])]:
            continue
        loose = (*LOOSE_IN_AND, ast.BoolOp)
        tests = [
            source.of(t) if isinstance(t, ast.BoolOp) and isinstance(t.op, ast.And) else parenthesised(source, t, loose)
            for t in (node.test, inner.test)
        ]
        body = moved(source, inner.body, -1)
        yield source.replace(node, node, f"if {' and '.join(tests)}:\n{source.indent(node)}    {body}")


def split_if(source: Source) -> Iterator[Edit]:
    """if a and b: body -> if a: if b: body; the inverse of `merge_ifs`."""
    for node in source.nodes:
        if not isinstance(node, ast.If) or node.orelse or source.is_elif(node) or not is_one_line(node.test):
            continue
        if not isinstance(node.test, ast.BoolOp) or not isinstance(node.test.op, ast.And):
            continue
        if not is_plain_body(source, node.body) or "#" in source.text[source.start(node) : source.start(node.body[0])]:
            continue
        pad = "\n" + source.indent(node)
        first, *rest = node.test.values
        if (
            not pad.isspace()
            or source.indent(node.body[0]) != pad[1:] + "    "
            or "(" in source.text[source.end(first) : source.start(rest[0])]
        ):
            continue
        outer = source.of(first)
        inner = source.text[source.start(rest[0]) : source.end(node.test)]
        if source.text[source.start(node) + 3] == "(" and not isinstance(first, (ast.Tuple, ast.GeneratorExp)):
            continue  # parentheses around all or part of the test
        yield source.replace(node, node, f"if {outer}:{pad}    if {inner}:{pad}        {moved(source, node.body, 1)}")


def plain_comparison(source: Source) -> Iterator[Edit]:
    """x == None -> x is None; not a in b -> a not in b; not a == b -> a != b; len(x) == 0 as a test -> not x."""
    for node in source.nodes:
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and is_one_line(node):
            operation, right = node.ops[0], node.comparators[0]
            if isinstance(operation, (ast.Eq, ast.NotEq)) and isinstance(right, ast.Constant) and right.value is None:
                word = "is" if isinstance(operation, ast.Eq) else "is not"
                yield source.replace(node, node, f"{source.of(node.left)} {word} None")
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Compare):
            inner = node.operand
            if len(inner.ops) == 1 and isinstance(inner.ops[0], (ast.In, ast.Is, ast.Eq)) and is_one_line(node):
                yield source.replace(node, node, negated(source, inner))
        if isinstance(node, (ast.If, ast.While)):
            yield from emptiness(source, node.test)


def emptiness(source: Source, test: ast.expr) -> Iterator[Edit]:
    """len(x) == 0 -> not x and len(x) > 0 -> x, as the whole test of an if or while."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.left, ast.Call):
        return
    call, right = test.left, test.comparators[0]
    is_len = isinstance(call.func, ast.Name) and call.func.id == "len" and len(call.args) == 1
    if is_len and isinstance(right, ast.Constant) and right.value == 0 and isinstance(right.value, int):
        of = source.of(call.args[0])
        if isinstance(test.ops[0], ast.Eq):
            yield source.replace(test, test, f"not {of}")
        elif isinstance(test.ops[0], (ast.Gt, ast.NotEq)):
            yield source.replace(test, test, of)


def clumsy_comparison(source: Source) -> Iterator[Edit]:
    """x is None -> x == None; a not in b -> not a in b; a != b -> not a == b; the inverse of `plain_comparison`."""
    tests = [n.test for n in source.nodes if isinstance(n, (ast.If, ast.While))]
    for node in tests:
        if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not is_one_line(node):
            continue
        operation, left, right = node.ops[0], source.of(node.left), source.of(node.comparators[0])
        if isinstance(operation, (ast.Is, ast.IsNot)) and right == "None":
            yield source.replace(node, node, f"{left} {'==' if isinstance(operation, ast.Is) else '!='} None")
        elif isinstance(operation, (ast.NotIn, ast.NotEq, ast.IsNot)):
            word = {ast.NotIn: "in", ast.NotEq: "==", ast.IsNot: "is"}[type(operation)]
            yield source.replace(node, node, f"not {left} {word} {right}")
