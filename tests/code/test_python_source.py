"""Python's own parser on anything: the head that compiles equals the one found line by line."""

from __future__ import annotations

import heapq
import inspect
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starfill.code.python_source import compiles, compiling_head, is_only_words, parsed

SOURCE = inspect.getsource(heapq.merge) + "\n\n" + inspect.getsource(heapq.nsmallest)
LINES = st.sampled_from(
    [
        *(
            "def f():",
            "    return 1",
            "return 2",
            "  x = 3",
            "x = (",
            "    1,",
            ")",
            '"""',
            "'''",
            "f'{x'",
            "f'{(}'",
            "'a",
        ),
        *(
            "@a",
            "else:",
            "if x:",
            "",
            "\tz",
            "\\",
            "This adds one.",
            "class A:",
            "async def g():",
            "await x",
            "\x0c",
            "é",
            "\x00",
        ),
        *('    f"""', "{x y}", "for x in y: pass", "print 1", "x = = 1", "nonlocal x", "def f(a, a): pass", "\ud800"),
    ]
)


def line_by_line(code: str) -> str:
    lines = code.rstrip().split("\n")
    while lines and not compiles("\n".join(lines)):
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


@settings(deadline=None)
@given(st.lists(LINES).map("\n".join))
def test_the_head_that_compiles(code: str) -> None:
    assert compiling_head(code) == line_by_line(code)


@pytest.mark.parametrize("seed", range(30))
def test_the_head_of_damaged_code(seed: int) -> None:
    random = Random(seed)
    code = SOURCE
    for _ in range(random.randrange(1, 3)):
        at = random.randrange(len(code))
        code = (
            code[:at]
            + random.choice(["", "(", '"', "\n", " ", "}", "'''", "= ", "\n}"])
            + code[at + random.randrange(3) :]
        )
    assert compiling_head(code) == line_by_line(code)


@pytest.mark.parametrize("code", ["Done", "This is it", "yes and not that", "Sure, here", "a < b"])
def test_only_words(code: str) -> None:
    tree = parsed(code)
    assert tree is not None
    assert is_only_words(tree)


@pytest.mark.parametrize("code", ["", "# x", "f()", "x = y", "'text'", "1", "pass", "x.y", "Done\nx = 1"])
def test_more_than_words(code: str) -> None:
    tree = parsed(code)
    assert tree is not None
    assert not is_only_words(tree)


@pytest.mark.parametrize("code", ["(" * 1000, "\x00", "\ud800", "-" * 100_000 + "1", "def f(:"])
def test_no_python(code: str) -> None:
    assert parsed(code) is None
    assert not compiles(code)
