"""Code that does needless work, and the same without it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from instructions.source import Edit, Source, is_one_line, names

CONSUMERS = ("any", "all", "sum", "min", "max")  # those that need no list


def consumer(node: ast.AST) -> ast.expr | None:
    """The argument of any(...), sum(...) and so on, if it is the only one."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in CONSUMERS:
        return None
    return node.args[0] if len(node.args) == 1 and not node.keywords else None


def to_generator(source: Source) -> Iterator[Edit]:
    """any([x for ...]) -> any(x for ...)"""
    for node in source.nodes:
        made = consumer(node)
        if isinstance(made, ast.ListComp):
            yield source.replace(made, made, source.of(made)[1:-1])


def to_list(source: Source) -> Iterator[Edit]:
    """any(x for ...) -> any([x for ...]); the inverse of `to_generator`."""
    for node in source.nodes:
        made = consumer(node)
        if isinstance(made, ast.GeneratorExp):
            yield source.replace(made, made, f"([{source.of(made)[1:-1]}])")


def to_set(source: Source) -> Iterator[Edit]:
    """x in [1, 2, 3] -> x in {1, 2, 3}"""
    for node in source.nodes:
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            right = node.comparators[0]
            if (
                isinstance(right, ast.List)
                and len(right.elts) > 2
                and all(isinstance(e, ast.Constant) for e in right.elts)
            ):
                yield source.replace(right, right, "{" + source.of(right)[1:-1] + "}")


def without_keys(source: Source) -> Iterator[Edit]:
    """for k in d.keys() -> for k in d; k in d.keys() -> k in d"""
    for node in source.nodes:
        over = node.iter if isinstance(node, (ast.For, ast.comprehension)) else None
        if isinstance(node, ast.Compare) and isinstance(node.ops[-1], (ast.In, ast.NotIn)):
            over = node.comparators[-1]
        if (
            isinstance(over, ast.Call)
            and isinstance(over.func, ast.Attribute)
            and over.func.attr == "keys"
            and not over.args
        ):
            yield source.replace(over, over, source.of(over.func.value))


def without_items(source: Source) -> Iterator[Edit]:
    """for k, v in d.items(): -> for k in d: v = d[k]; iterating over items is what the task asks for."""
    for loop in source.nodes:
        if (
            not isinstance(loop, ast.For)
            or not isinstance(loop.target, ast.Tuple)
            or not isinstance(loop.iter, ast.Call)
        ):
            continue
        function, pad = loop.iter.func, source.indent(loop.body[0])
        if not isinstance(function, ast.Attribute) or function.attr != "items" or loop.iter.args or not pad.isspace():
            continue
        if (
            len(loop.target.elts) != 2
            or not all(isinstance(e, ast.Name) for e in loop.target.elts)
            or not is_one_line(loop.iter)
        ):
            continue
        key, value = (source.of(e) for e in loop.target.elts)
        over = source.of(function.value)
        colon = source.text.index(":", source.end(loop.iter))
        yield Edit(source.start(loop), colon + 1, f"for {key} in {over}:\n{pad}{value} = {over}[{key}]")


def to_sorted(source: Source) -> Iterator[Edit]:
    """min(xs) -> sorted(xs)[0]; max(xs) -> sorted(xs)[-1]"""
    for node in source.nodes:
        over = consumer(node)
        if isinstance(over, (ast.Name, ast.Attribute, ast.Call)) and is_one_line(over):
            end = {"min": "0", "max": "-1"}.get(source.of(node.func))  # type: ignore[attr-defined]
            if end:
                yield source.replace(node, node, f"sorted({source.of(over)})[{end}]")  # type: ignore[arg-type]


def without_join(source: Source) -> Iterator[Edit]:
    """return "".join(e for t in it) -> a loop that adds to a string."""
    for body in source.bodies:
        node = body[-1]
        call = node.value if isinstance(node, ast.Return) else None
        if not isinstance(call, ast.Call) or len(call.args) != 1 or source.of(call.func) not in ('"".join', "''.join"):
            continue
        made, pad = call.args[0], "\n" + source.indent(node)
        if (
            not isinstance(made, (ast.GeneratorExp, ast.ListComp))
            or len(made.generators) != 1
            or "result" in names(node)
        ):
            continue
        generator = made.generators[0]
        parts = [generator.target, generator.iter, made.elt]
        if generator.ifs or generator.is_async or not all(map(is_one_line, parts)) or not pad.isspace():
            continue
        quotes = source.of(call.func)[:2]
        lines = [f"result = {quotes}", f"for {source.of(generator.target)} in {source.of(generator.iter)}:"]
        lines += [f"    result += {source.of(made.elt)}", "return result"]
        yield source.replace(node, node, pad.join(lines))
