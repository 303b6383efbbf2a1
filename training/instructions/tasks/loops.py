"""Loops and comprehensions: append loops, any/all searches, needless indices."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from instructions.source import Edit, Source, is_one_line, names, walk

MAX_LINE = 100


def header(source: Source, loop: ast.For) -> str | None:
    """`for target in iterable` of a plain loop (no else), if both stand on one line."""
    if loop.orelse or not is_one_line(loop.target) or not is_one_line(loop.iter) or loop.type_comment:
        return None
    return f"for {source.of(loop.target)} in {iterated(source, loop.iter)}"


def iterated(source: Source, node: ast.expr) -> str:
    return f"({source.of(node)})" if isinstance(node, (ast.IfExp, ast.Lambda, ast.Tuple)) else source.of(node)


def condition_and_step(loop: ast.For) -> tuple[ast.expr | None, ast.stmt] | None:
    """A loop's body of one statement, perhaps below one `if`: (its test, the statement)."""
    if len(loop.body) != 1:
        return None
    step = loop.body[0]
    if isinstance(step, ast.If):
        return (step.test, step.body[0]) if len(step.body) == 1 and not step.orelse else None
    return None, step


def method_argument(step: ast.stmt, name: str, method: str) -> ast.expr | None:
    """`value` of the statement `name.method(value)`."""
    call = step.value if isinstance(step, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != method:
        return None
    is_name = isinstance(call.func.value, ast.Name) and call.func.value.id == name
    return call.args[0] if is_name and len(call.args) == 1 and not call.keywords else None


def to_comprehension(source: Source) -> Iterator[Edit]:
    """xs = []; for t in it: [if c:] xs.append(e) -> xs = [e for t in it if c]; sets and dicts likewise."""
    for body in source.bodies:
        for first, loop in pairwise(body):
            if not isinstance(first, ast.Assign) or len(first.targets) != 1 or not isinstance(loop, ast.For):
                continue
            target, found, head = first.targets[0], condition_and_step(loop), header(source, loop)
            if not isinstance(target, ast.Name) or not found or not head or source.has_comment(first, loop):
                continue
            test, step = found
            made = comprehension(source, first.value, target.id, step, head, test)
            used = [loop.iter, *([test] if test else []), step]
            if (
                made is None
                or sum(isinstance(n, ast.Name) and n.id == target.id for u in used for n in ast.walk(u)) != 1
            ):
                continue
            if has_await_or_yield(loop) or len(source.indent(first)) + len(target.id) + len(made) > MAX_LINE:
                continue
            yield source.replace(first, loop, f"{target.id} = {made}")


def comprehension(
    source: Source, empty: ast.expr, name: str, step: ast.stmt, head: str, test: ast.expr | None
) -> str | None:
    """The comprehension that starts from the empty container and takes `step` for each item."""
    tail = f"{head} if {source.of(test)}" if test else head
    text = source.of(empty)
    if text in ("[]", "list()") and (value := method_argument(step, name, "append")):
        return f"[{source.of(value)} {tail}]" if is_one_line(value) else None
    if text == "set()" and (value := method_argument(step, name, "add")):
        return f"{{{source.of(value)} {tail}}}" if is_one_line(value) else None
    if text in ("{}", "dict()") and isinstance(step, ast.Assign) and isinstance(step.targets[0], ast.Subscript):
        target = step.targets[0]
        if isinstance(target.value, ast.Name) and target.value.id == name and is_one_line(step):
            return f"{{{source.of(target.slice)}: {source.of(step.value)} {tail}}}"
    return None


def has_await_or_yield(node: ast.AST) -> bool:
    return any(isinstance(n, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)) for n in ast.walk(node))


def to_loop(source: Source) -> Iterator[Edit]:
    """xs = [e for t in it if c] (or a set, a dict, or returned) -> the loop; the inverse of `to_comprehension`."""
    for body in source.bodies:
        for node in body:
            made = node.value if isinstance(node, (ast.Assign, ast.Return)) else None
            if not isinstance(made, (ast.ListComp, ast.SetComp, ast.DictComp)) or len(made.generators) != 1:
                continue
            generator, pad = made.generators[0], "\n" + source.indent(node)
            if generator.is_async or len(generator.ifs) > 1 or has_await_or_yield(made) or not pad.isspace():
                continue
            if source.has_comment(node, node) or any(
                isinstance(n, ast.JoinedStr) and n.lineno != node.lineno for n in ast.walk(made)
            ):
                continue
            name = "result"
            if isinstance(node, ast.Assign):
                if len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
                    continue
                name = node.targets[0].id
            if name in names(made) or names(generator.target) & names(generator.iter):
                continue
            parts = [generator.target, generator.iter, *generator.ifs]
            parts += [made.key, made.value] if isinstance(made, ast.DictComp) else [made.elt]
            if not all(map(is_one_line, parts)):
                continue
            yield source.replace(node, node, loop_text(source, made, name, pad, isinstance(node, ast.Return)))


def loop_text(
    source: Source, made: ast.ListComp | ast.SetComp | ast.DictComp, name: str, pad: str, returned: bool
) -> str:
    generator = made.generators[0]
    empty = "{}" if isinstance(made, ast.DictComp) else "[]" if isinstance(made, ast.ListComp) else "set()"
    lines = [f"{name} = {empty}", f"for {source.of(generator.target)} in {source.of(generator.iter)}:"]
    depth = "    "
    if generator.ifs:
        lines.append(f"{depth}if {source.of(generator.ifs[0])}:")
        depth *= 2
    if isinstance(made, ast.DictComp):
        lines.append(f"{depth}{name}[{source.of(made.key)}] = {source.of(made.value)}")
    else:
        lines.append(f"{depth}{name}.{'append' if empty == '[]' else 'add'}({source.of(made.elt)})")
    return pad.join([*lines, *([f"return {name}"] if returned else [])])


def to_any(source: Source) -> Iterator[Edit]:
    """for t in it: if c: return True; return False -> return any(c for t in it); the other way round all(...)."""
    for body in source.bodies:
        for loop, last in pairwise(body):
            if not isinstance(loop, ast.For) or not isinstance(last, ast.Return) or source.has_comment(loop, last):
                continue
            found, head = condition_and_step(loop), header(source, loop)
            if (
                not found
                or not found[0]
                or not head
                or not isinstance(found[1], ast.Return)
                or has_await_or_yield(loop)
            ):
                continue
            answers = [repr(s.value.value) if isinstance(s.value, ast.Constant) else "" for s in (found[1], last)]
            if not is_one_line(found[0]):
                continue
            if answers == ["True", "False"]:
                yield source.replace(loop, last, f"return any({source.of(found[0])} {head})")
            elif answers == ["False", "True"]:
                test = found[0]
                negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
                text = source.of(test.operand) if negated else f"not ({source.of(test)})"  # type: ignore[attr-defined]
                yield source.replace(loop, last, f"return all({text} {head})")


def from_any(source: Source) -> Iterator[Edit]:
    """return any(c for t in it) -> the loop; the inverse of `to_any`."""
    for body in source.bodies:
        node = body[-1]
        call = node.value if isinstance(node, ast.Return) else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or len(call.args) != 1:
            continue
        made = call.args[0]
        if call.func.id not in ("any", "all") or not isinstance(made, ast.GeneratorExp) or len(made.generators) != 1:
            continue
        generator, pad = made.generators[0], "\n" + source.indent(node)
        parts = [generator.target, generator.iter, made.elt]
        if generator.ifs or generator.is_async or not all(map(is_one_line, parts)) or not pad.isspace():
            continue
        if source.has_comment(node, node) or has_await_or_yield(made):
            continue
        is_any = call.func.id == "any"
        loose = isinstance(made.elt, (ast.BoolOp, ast.IfExp, ast.Lambda))
        element = f"({source.of(made.elt)})" if loose and not is_any else source.of(made.elt)
        test = element if is_any else f"not {element}"
        head = f"for {source.of(generator.target)} in {source.of(generator.iter)}:"
        yield source.replace(
            node, node, f"{head}{pad}    if {test}:{pad}        return {is_any}{pad}return {not is_any}"
        )


def with_index(source: Source) -> Iterator[Edit]:
    """for x in xs: -> for i in range(len(xs)): x = xs[i], where i is free: the clumsy form of a plain loop."""
    for function in source.nodes:
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or "i" in names(function):
            continue
        for loop in walk(function):
            if (
                not isinstance(loop, ast.For)
                or not isinstance(loop.target, ast.Name)
                or not isinstance(loop.iter, ast.Name)
            ):
                continue
            pad = source.indent(loop.body[0])
            if pad.isspace() and "\n" in source.text[source.end(loop.iter) : source.start(loop.body[0])]:
                text = f"for i in range(len({loop.iter.id})):\n{pad}{loop.target.id} = {loop.iter.id}[i]"
                colon = source.text.index(":", source.end(loop.iter))
                yield Edit(source.start(loop), colon + 1, text)
