"""Whether two versions of a piece of code do the same, by running both on made-up inputs.

Only code that can do no harm is run: no imports, no builtins but a list of pure ones, no attributes with two leading
underscores; everything else that the code names is a value made up from the name, or a `StandIn` that notes what is
done with it. In a separate process that can write no file, with limits on time and memory.
"""

from __future__ import annotations

import ast
import builtins
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from instructions.source import names
from instructions.stand_in import StandIn

SAFE = {
    "abs", "all", "any", "bool", "bytes", "callable", "chr", "dict", "divmod", "enumerate", "filter", "float", "format",
    "frozenset", "hash", "int", "iter", "len", "list", "map", "max", "min", "next", "ord", "range", "repr", "reversed",
    "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip", "Exception", "ValueError", "TypeError", "KeyError",
    "IndexError", "AttributeError", "StopIteration", "RuntimeError", "NotImplementedError", "LookupError", "OSError",
}  # fmt: skip
BUILTINS: dict[str, Any] = {name: getattr(builtins, name) for name in SAFE}
SECONDS, MEMORY = 1, 4 << 30  # for each piece of code; address space of the process, bytes
STRINGS = (
    "name",
    "text",
    "line",
    "key",
    "path",
    "word",
    "prefix",
    "suffix",
    "s",
    "string",
    "char",
    "title",
    "filename",
)
NUMBERS = ("n", "i", "j", "k", "x", "y", "count", "size", "index", "width", "height", "length", "start", "end", "num")
TURNS = 3
FORBIDDEN = (
    ast.Import, ast.ImportFrom, ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Global, ast.Nonlocal,
    ast.ClassDef, ast.While,
)  # fmt: skip


def is_instance(value: Any, kinds: Any) -> bool:
    """isinstance, where a class may be a stand-in."""
    try:
        return isinstance(value, kinds)
    except TypeError:
        return len(repr(kinds)) % 2 == 0


def may_run(code: str) -> bool:
    tree = ast.parse(code)
    if any(isinstance(n, FORBIDDEN) or getattr(n, "decorator_list", []) for n in ast.walk(tree)):
        return False
    attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    return not any(n.startswith("__") or n in ("_trace", "_name", "_size") for n in names(tree) | attributes)


def made_up(name: str, turn: int) -> Any:
    """The turn's value for a variable of that name, where the name tells its type; else None."""
    if name in NUMBERS:
        return (3, 0, -2)[turn]
    if name in STRINGS:
        return ("abc", "", "Two words")[turn]
    if name.startswith(("is_", "has_", "use_")):
        return turn == 1
    if name in ("items", "values", "words", "names", "lines", "keys", "parts", "strings"):
        return (["b", "a", "c"], [], ["a", "a"])[turn]
    return ({"a": 1, "b": 2}, {}, {"": 0})[turn] if name in ("d", "mapping", "dictionary") else None


class Space(dict[str, Any]):
    """The globals of a run: the safe builtins, and for any other name a made-up value or a stand-in."""

    def __init__(self, turn: int) -> None:
        super().__init__(BUILTINS, isinstance=is_instance, locals=locals, __builtins__={})
        self.turn, self.trace = turn, list[str]()

    def value(self, name: str) -> Any:
        known = made_up(name, self.turn)
        return known if known is not None else StandIn(name, (2, 0, 3)[self.turn], self.trace)


def as_function(code: str) -> tuple[str, ast.arguments]:
    """The code as a function `piece`: a definition under that name too, statements with their free names as parameters
    and their variables as the result."""
    tree = ast.parse(code)
    if len(tree.body) == 1 and isinstance(tree.body[0], ast.FunctionDef):
        return f"{code}\npiece = {tree.body[0].name}\n", tree.body[0].args
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - SAFE - {"isinstance"}
    body = "\n".join("    " + line for line in code.split("\n"))
    text = f"def piece({', '.join(sorted(read))}):\n{body}\n    return locals()\n"
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    return text, function.args


def outcome(code: str, turn: int) -> tuple[str, dict[str, str]]:
    """What running it comes to: ("value" or "error", {variable or "result", "trace": what it holds})."""
    text, parameters = as_function(code)
    space = Space(turn)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and node.id not in space:
            space[node.id] = space.value(node.id)
    positional = [*parameters.posonlyargs, *parameters.args]
    required = positional[: len(positional) - len(parameters.defaults)]
    try:
        exec(text, space)
        result = space["piece"](*(space.value(a.arg) for a in required))
        if hasattr(result, "send"):
            result = [item for item, _ in zip(result, range(20), strict=False)]
        is_statements = not code.startswith("def ") and isinstance(result, dict)
        values = {k: repr(v) for k, v in result.items()} if is_statements else {"result": repr(result)}
        return "value", {**values, "trace": "\n".join(space.trace)}
    except TimeoutError:
        raise
    except Exception as error:
        return "error", {"error": type(error).__name__, "trace": "\n".join(space.trace)}


def loop_variables(code: str) -> set[str]:
    """Names that a loop or comprehension of the code sets."""
    targets = [n.target for n in ast.walk(ast.parse(code)) if isinstance(n, (ast.For, ast.comprehension))]
    return {name for target in targets for name in names(target)}


def verdict(before: str, after: str, loose: bool) -> str:
    """ "same", "different", or "unknown" where it can't be run or no turn comes to a value.

    `loose`: only what both sides have counts, without the variables of loops (a loop leaves them behind).
    """
    if not may_run(before) or not may_run(after):
        return "unknown"
    pairs = [(outcome(before, turn), outcome(after, turn)) for turn in range(TURNS)]
    values = [(a, b) for a, b in pairs if "value" in (a[0], b[0])]
    if not values or any(" at 0x" in text for a, b in values for text in (*a[1].values(), *b[1].values())):
        return "unknown"
    ignored = loop_variables(before) | loop_variables(after) if loose else set()
    for (kind, holds), (other_kind, other_holds) in values:
        keys = holds.keys() & other_holds.keys() - ignored if loose else holds.keys() | other_holds.keys()
        if kind != other_kind or any(holds.get(k) != other_holds.get(k) for k in keys):
            return "different"
    return "same"


def calls(code: str) -> list[tuple[list[Any], str]]:
    """(arguments, repr of the result) of calls of a function that needs no stand-in; none if it mustn't be run."""
    if not may_run(code):
        return []
    text, parameters = as_function(code)
    required = parameters.args[: len(parameters.args) - len(parameters.defaults)]
    found = []
    for turn in range(TURNS):
        arguments = [made_up(a.arg, turn) for a in required]
        space = Space(turn)
        try:
            exec(text, space)
            found.append((arguments, repr(space["piece"](*json.loads(json.dumps(arguments))))))
        except TimeoutError:
            raise
        except Exception:
            continue
    return found if required and None not in [made_up(a.arg, 0) for a in required] else []


def limit() -> None:
    """Called in the child before it starts: no file can be written, no more than MEMORY."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def ask(requests: Iterable[dict[str, Any]]) -> Iterator[Any]:
    """From child processes: a verdict for {"before", "after", "loose"}, the calls for {"code"}; None: too slow."""
    todo = list(requests)
    start = f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r})"
    command = [sys.executable, "-I", "-c", f"{start}; from instructions.behaviour import child; child()"]
    for i in range(0, len(todo), 1000):
        lines = "".join(json.dumps(r) + "\n" for r in todo[i : i + 1000])
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, preexec_fn=limit)
        yield from map(json.loads, done.stdout.splitlines())


def child() -> None:
    """Answers one request a line from standard input."""

    def too_slow(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, too_slow)
    for line in sys.stdin:
        request = json.loads(line)
        found = None
        signal.alarm(SECONDS)
        try:
            found = calls(request["code"]) if "code" in request else verdict(**request)
        except (TimeoutError, MemoryError, RecursionError):
            pass
        finally:
            signal.alarm(0)
        print(json.dumps(found), flush=True)
