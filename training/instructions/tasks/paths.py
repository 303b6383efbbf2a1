"""os.path as pathlib."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from instructions.source import Edit, Source, parenthesised

CALLS = {
    "exists": ".exists()", "isfile": ".is_file()", "isdir": ".is_dir()", "islink": ".is_symlink()",
    "isabs": ".is_absolute()", "basename": ".name", "dirname": ".parent", "abspath": ".absolute()",
    "realpath": ".resolve()", "expanduser": ".expanduser()", "getsize": ".stat().st_size",
}  # fmt: skip
LOOSE = (ast.BinOp, ast.BoolOp, ast.IfExp, ast.Compare, ast.Lambda, ast.UnaryOp, ast.Await)


def path_function(node: ast.AST) -> str | None:
    """`name` of a call os.path.name(positional arguments)."""
    if not isinstance(node, ast.Call) or node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
        return None
    function = node.func
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Attribute):
        return None
    module = function.value
    is_path = module.attr == "path" and isinstance(module.value, ast.Name) and module.value.id == "os"
    return function.attr if is_path else None


def as_path(source: Source, node: ast.expr) -> str | None:
    """The pathlib expression for a string's: nested calls of os.path are taken along; None if one can't be."""
    name = path_function(node)
    if name is None:
        return f"Path({source.of(node)})"
    assert isinstance(node, ast.Call)
    base = as_path(source, node.args[0]) if node.args else None
    if base is None or "\n" in source.of(node):
        return None
    if name == "join" and len(node.args) > 1:
        return " / ".join([base, *(parenthesised(source, a, LOOSE) for a in node.args[1:])])
    if name in CALLS and len(node.args) == 1 and not CALLS[name].endswith(".name"):
        return (f"({base})" if " / " in base else base) + CALLS[name]
    return None


def to_pathlib(source: Source) -> Iterator[Edit]:
    """os.path.exists(p) -> Path(p).exists(), os.path.join(a, b) -> Path(a) / b and so on, the outermost call first."""
    inner: set[int] = set()
    for node in source.nodes:
        name = path_function(node)
        if name is None or id(node) in inner:
            continue
        assert isinstance(node, ast.Call)
        inner |= {id(n) for n in ast.walk(node)}
        if name == "basename" and len(node.args) == 1 and (base := as_path(source, node.args[0])):
            made: str | None = (f"({base})" if " / " in base else base) + ".name"
        else:
            made = as_path(source, node)
        if made:
            yield source.replace(node, node, made)
