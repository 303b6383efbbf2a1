"""The program in a model's answer, without the chat around it, repeated signatures, example runs and unfinished ends.

It repairs what the users of HumanEval repair before they score (WizardCoder's process_humaneval.py, and others after
it). What the model wrote inside the function is unchanged.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable

from starfill.assist.instruct.fences import blocks
from starfill.code.python_source import compiles, compiling_head, parsed
from starfill.evaluation.problems import Problem

_PYTHON = {"", "python", "python3", "py"}
_CODE = re.compile(r"(?:from\s+[\w.]+\s+import\b|import\s+\w|(?:async\s+)?def\s+\w|class\s+\w+.*:|@\w|[A-Z_0-9]+\s*=)")
_KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Try, ast.If)
_ASSIGNED = (ast.Assign, ast.AnnAssign, ast.AugAssign)
INDENT = "    "


def program(problem: Problem, answer: str) -> str:
    """Python source with the problem's function in it, to be tested as it is. Applied to its own result it changes
    nothing.

    answer: what the model wrote: the whole function, or what follows the prompt (of infilling: what fills the gap).
    """
    if problem.suffix is not None:
        return problem.prompt + with_line_end(answer) + problem.suffix
    name = problem.entry_point
    code = _spaces(_code_of(answer.replace("\r\n", "\n").replace("\r", "\n"), name))
    if _defines(code, name):
        code = tidy(compiling_head(_from_code(textwrap.dedent(code), name)), name)
        before = tidy(_before(problem.prompt, name), name)
        if _defines(code, name):
            return code if before in code else tidy(before + code, name)
        code = ""  # it ended within the signature
    return tidy(_continued(problem.prompt, code), name)


def with_line_end(middle: str) -> str:
    return middle if middle.endswith("\n") else middle + "\n"


def _code_of(answer: str, name: str) -> str:
    """The fenced block that has the function, after earlier blocks that it may need; the whole answer if there are no
    fences.
    """
    found = [block.code for block in blocks(answer) if block.language in _PYTHON]
    if not found:
        return answer
    for at, code in enumerate(found):
        if _defines(code, name):
            return "".join([*(each for each in found[:at] if _only_definitions(each)), code])
    return answer if _defines(answer, name) else found[0]


def _defines(code: str, name: str) -> bool:
    return re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{name}\b", code, re.MULTILINE) is not None


def _only_definitions(code: str) -> bool:
    tree = parsed(code)
    return tree is not None and all(isinstance(node, (*_KEPT, *_ASSIGNED)) for node in tree.body)


def _spaces(code: str) -> str:
    """Indentation without tabs, so that it can be joined to the prompt's."""
    return re.sub(r"^[ \t]+", lambda match: match[0].expandtabs(len(INDENT)), code, flags=re.MULTILINE)


def _before(prompt: str, name: str) -> str:
    """The text of the prompt before the function: imports, helpers."""
    starts = [match.start() for match in re.finditer(rf"^(?:async[ \t]+)?def[ \t]+{name}\b", prompt, re.MULTILINE)]
    return prompt[: starts[-1]] if starts else ""


def _from_code(code: str, name: str) -> str:
    """Without what a model says before its code."""
    if compiles(code):
        return code
    lines = code.split("\n")
    starts = [at for at, line in enumerate(lines) if _CODE.match(line)]
    for start in starts:
        rest = "\n".join(lines[start:])
        if _defines(compiling_head(rest), name):
            return rest
    return code


def _continued(prompt: str, body: str) -> str:
    """The prompt and what follows it. A body that has lost its indentation gets it back."""
    body = body.lstrip("\n") if prompt.endswith("\n") else body
    forms: Iterable[str] = (body, INDENT + body, textwrap.indent(body, INDENT))
    return max((compiling_head(prompt + form) for form in forms), key=_line_count)


def _line_count(code: str) -> int:
    return code.count("\n")


def tidy(code: str, name: str) -> str:
    """Imports, definitions and constants only: no example runs, tests or main part. Code that isn't Python is
    unchanged.
    """
    tree = parsed(code)
    if tree is None:
        return code
    lines = code.split("\n")
    kept = [node for node in tree.body if _is_part(node, name)]
    kept.sort(key=lambda node: not (isinstance(node, ast.ImportFrom) and node.module == "__future__"))
    return "".join("\n".join(lines[_first_line(node) - 1 : node.end_lineno]) + "\n" for node in kept)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _is_part(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.If):
        return "__name__" not in ast.dump(node.test)
    if isinstance(node, _ASSIGNED):
        calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
        return not any(isinstance(func, ast.Name) and func.id in (name, "input") for func in calls)
    return isinstance(node, _KEPT)
