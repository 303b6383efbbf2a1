"""What a completion must never do: each row is a document with its cursor, a generated text, and what becomes of it."""

from __future__ import annotations

from random import Random

import pytest

from assist.toy import SPECIAL, doc
from starfill.assist.completion import postprocess, stopping
from starfill.assist.completion.cursor_context import CursorContext, cursor_context_at
from starfill.assist.completion.fim_prompt import closers_at
from starfill.assist.completion.stopping import Stopper
from starfill.text.position import Edit


def place(marked: str, mode: str = "auto") -> tuple[CursorContext, int]:
    document, offset = doc(marked)
    return cursor_context_at(document, offset, closers_at(document, offset), mode, SPECIAL), offset


def polished(marked: str, text: str, cut_short: bool = False, mode: str = "auto") -> tuple[Edit | None, str | None]:
    return postprocess.postprocess(text, *place(marked, mode), cut_short)


def accepted(marked: str, text: str, **options: bool) -> str:
    """The document after accepting what is shown, the cursor marked again; the reason when nothing is shown."""
    edit, reason = polished(marked, text, **options)
    if edit is None:
        assert reason
        return f"nothing: {reason}"
    assert reason is None
    document, _ = doc(marked)
    after = document.replaced(edit.start, edit.end, edit.text).text
    end = edit.start + len(edit.text)
    return f"{after[:end]}‸{after[end:]}"


def nothing(reason: str) -> str:
    return f"nothing: {reason}"


PLAIN = [
    ("x = ‸", "1", "x = 1‸"),
    ("x =‸", " 1", "x = 1‸"),
    ("x = ‸\n", "1\ny = 2\n", "x = 1‸\n"),
    ("def f():\n    ‸\n", "return 1\n", "def f():\n    return 1‸\n"),
    ("def f():‸\n", "\n    a = 1\n    return a\n", "def f():\n    a = 1\n    return a‸\n"),
    ("if (a) {‸\n", "\n  b();\n}\nc();", "if (a) {\n  b();\n}‸\n"),
    ("x = 1‸\n", "\ny = 2\nz = 3", "x = 1\ny = 2‸\n"),
    ("‸", "import os\nimport re", "import os\nimport re‸"),
]
REPEATS_THE_REST_OF_THE_LINE = [
    ("f(‸, y)\n", "x, y)", "f(x‸, y)\n"),
    ("f(‸ + b)\n", "a + b)", "f(a‸ + b)\n"),
    ("x = ‸;\n", "f();", "x = f()‸;\n"),
    ("for ‸ in range(3):\n", "i in range(3):", "for i‸ in range(3):\n"),
    ("for ‸ in range(3):\n", "i in range(3):\n    print(i)", "for i‸ in range(3):\n"),
    ("x = [‸, b]\n", "a,", "x = [a‸, b]\n"),
    ("x = ‸y\n", "max", "x = max‸y\n"),
    ("return ‸ # why\n", "1 # why", "return 1‸ # why\n"),
    ("x = a ‸b\n", "+ b", "x = a + ‸b\n"),
    ("f(a‸s):\n", "rgs):\n", "f(arg‸s):\n"),
    ("cache['s‸ha']\n", "ha'] = cache['sha']", "cache['sha'] = cache['s‸ha']\n"),
    ("f(‸, y) + z\n", "x, y) + w", "f(x‸, y) + z\n"),
    ("f(‸, y)\n", "x, y) + w", "f(x‸, y)\n"),
    ("f(‸, y)\n", ", y)", nothing(stopping.REPEATS_BELOW)),
]
REPEATS_THE_NEXT_LINES = [
    ("def f():\n    ‸\n    return x\n", "return x\n", nothing(stopping.REPEATS_BELOW)),
    ("def f():\n    ‸\n    return x\n", "x = 1\n    return x\n", "def f():\n    x = 1‸\n    return x\n"),
    ("def f():\n    ‸\n\n    return x\n", "x = 1\n    return x\n", "def f():\n    x = 1‸\n\n    return x\n"),
    ("if (a) {\n  ‸\n}\n", "b();\n}\n", "if (a) {\n  b();‸\n}\n"),
    ("if (a) {\n\t‸\n}\n", "b();\n}\n", "if (a) {\n\tb();‸\n}\n"),
    ("a = 1‸\nb = 2\n", "\nb = 2\n", nothing(stopping.REPEATS_BELOW)),
    ("a = ‸\nb = 2\n", "1\nb = 2\n", "a = 1‸\nb = 2\n"),
    ("while a:\n    ‸\n  return x\n", "b\n    return x\n", "while a:\n    b\n    return x‸\n  return x\n"),
]
BRACKETS_AND_QUOTES = [
    ("print(‸)\n", "x)", "print(x‸)\n"),
    ("print(‸)\n", "x", "print(x‸)\n"),
    ("print(‸)\n", "f(x))", "print(f(x)‸)\n"),
    ("print(f(‸))\n", "x))", "print(f(x‸))\n"),
    ("print(f(‸))\n", "x), y)", "print(f(x), y)‸\n"),
    ("print(f(‸))\n", "x) + y", "print(f(x) + y‸)\n"),
    ("x = '‸'\n", "abc'", "x = 'abc‸'\n"),
    ("x = '‸'\n", "abc' + y", "x = 'abc' + y‸\n"),
    ("x = [‸]\n", "1, 2]", "x = [1, 2‸]\n"),
    ("x = {'a': [‸]}\n", "1]}", "x = {'a': [1‸]}\n"),
    ("if f(‸):\n", "x):", "if f(x‸):\n"),
    ("f(‸)", ")", nothing("the model only closed what is closed already")),
    ("x = a‸\n", ")", nothing("the model closed a bracket or quote that is not open")),
    ("x = a‸\n", "b])", "x = ab‸\n"),
    ("f(\n    a,\n    ‸\n)\n", "b)", "f(\n    a,\n    b‸\n)\n"),
    ("f(\n    a,\n    ‸\n", "b)", "f(\n    a,\n    b)‸\n"),
    ("x = (f(‸\n)\n", "a))", "x = (f(a)‸\n)\n"),
    ('x = "a‸b"\n', 'c" + d', 'x = "ac‸b"\n'),
    ("def f():‸\n", "\n\n    return 1\n", "def f():\n\n    return 1‸\n"),
    ("function f() {‸}\n", "\n  g();\n}", "function f() {\n  g();\n‸}\n"),
    ("  function f() {‸}\n", "\n    g();\n  }", "  function f() {\n    g();\n  ‸}\n"),
    ("{\nf(a(function() {\n  b();\n‸\n}\n", "}));\nc();\n", "{\nf(a(function() {\n  b();\n}));\nc();‸\n}\n"),
    (
        "{\n  if (a) {\n    b();\n  ‸\n  }\n}\n",
        "} else {\n    c();\n",
        "{\n  if (a) {\n    b();\n  } else {\n    c();‸\n  }\n}\n",
    ),
    ("  function f() {‸}\n", "\n    g();", "  function f() {\n    g();\n  ‸}\n"),
    ("x = f(‸)\n", "lambda y:", "x = f(lambda y:‸)\n"),
    ("f(‸):\n", "lambda y:", "f(lambda y:‸):\n"),
]
INDENTATION = [
    (
        "class A:\n\tdef f(self):\n\t\t‸\n",
        "if a:\n            b()\n",
        "class A:\n\tdef f(self):\n\t\tif a:\n\t\t\tb()‸\n",
    ),
    ("if a:\n\tb()\n‸\n", "    c()\n    d()\n", "if a:\n\tb()\n\tc()\n\td()‸\n"),
    ("if a:\n  b()\n  ‸\n", "for i in a:\n\t\tb()\n", "if a:\n  b()\n  for i in a:\n    b()‸\n"),
    ("def f():\n    a()\n    ‸\n", "    return 1\n", "def f():\n    a()\n    return 1‸\n"),
    ("def f():\n    ‸\n", "    return 1\n", "def f():\n    return 1‸\n"),
    ("def f():\n‸\n", "    return 1\n", "def f():\n    return 1‸\n"),
    ("def f():\n  ‸\n    x\n", "  return 1\n", "def f():\n    return 1‸\n    x\n"),
    ("x = ‸\n", " 1", "x = 1‸\n"),
    ("y  =  ‸\n", "  1", "y  =    1‸\n"),
    ("if a:‸\n", "\n\tb()\n", "if a:\n\tb()‸\n"),
    ("if a:\n  b()\n  c()\n\td()\nif b:‸\n", "\n\tb()\n", "if a:\n  b()\n  c()\n\td()\nif b:\n  b()‸\n"),
    ("if a:\n\tb()\nif b:‸\n", "\n  if c:\n    d()\n", "if a:\n\tb()\nif b:\n\tif c:\n\t\td()‸\n"),
    ("if a:\n\tb()\n\t‸\n", "\t\tc()\n", "if a:\n\tb()\n\tc()‸\n"),
    ("x = f(a,\n      ‸\n", "  b)", "x = f(a,\n        b)‸\n"),
]
LINE_ENDS = [
    ("def f():\r\n    ‸\r\n", "a = 1\n    return a\n", "def f():\r\n    a = 1\r\n    return a‸\r\n"),
    ("def f():\r\n    ‸\r\n", "a = 1\r\n    return a\r\n", "def f():\r\n    a = 1\r\n    return a‸\r\n"),
    ("def f():\n    ‸\n", "a = 1\r\n    return a\r\n", "def f():\n    a = 1\n    return a‸\n"),
]
RUNS_ON = [
    ("def f():\n    ‸\n", "return 1\n\ndef g():\n    return 2\n", "def f():\n    return 1‸\n"),
    ("def f():\n    ‸\n", "return 1\ndef g():\n", "def f():\n    return 1‸\n"),
    (
        "class A:\n    ‸\n",
        "def f(self):\n        return 1\n    def g(self):\n",
        "class A:\n    def f(self):\n        return 1‸\n",
    ),
    ("‸\n", "@cached\ndef f():\n    return 1\nclass A:\n", "@cached\ndef f():\n    return 1‸\n"),
    ("@cached‸\n", "\ndef f():\n    return 1\n", "@cached\ndef f():‸\n"),
    ("‸\n", "function f() {\n  a();\n}\nfunction g() {\n", "function f() {\n  a();\n}‸\n"),
    ("def f():\n    ‸\n", "\ndef g():\n    pass\n", nothing(stopping.LEFT_BLOCK)),
    ("def f():\n    pass‸\n", "\n\ndef g():\n", nothing(stopping.ONLY_SPACE)),
    ("if a:\n    ‸\nelse:\n", "b()\nelse:\n    c()\n", "if a:\n    b()‸\nelse:\n"),
    ("if (a) {‸\n", "\n  b();\n} else {\n  c();\n}\nd();\n", "if (a) {\n  b();\n} else {\n  c();\n}‸\n"),
    ("if (a\n    && b) {‸\n", "\n  c();\n}\nd();\n", "if (a\n    && b) {\n  c();\n}‸\n"),
    ("    def f(a,\n          b):‸\n", "\n        c()\n    def g():\n", "    def f(a,\n          b):\n        c()‸\n"),
    ("x = f(‸\n", "a,\n      b)\ny = 2\n", "x = f(a,\n      b)‸\n"),
    ("type‸\n", " = 1\n", "type = 1‸\n"),
    ("‸\n", "".join(f"x{n} = {n}\n" for n in range(20)), "\n".join(f"x{n} = {n}" for n in range(12)) + "‸\n"),
]
REPEATS_ITSELF = [
    (
        "def f():\n    ‸\n",
        "call()\n    call()\n    call()\n    call()\n",
        "def f():\n    call()‸\n",
    ),
    ("‸\n", "print(x)\nprint(x)\nprint(x)\nprint(x)\n", "print(x)‸\n"),
    ("‸\n", "aa = 1\nbb = 2\naa = 1\nbb = 2\naa = 1\n", "aa = 1\nbb = 2‸\n"),
    ("x = [‸\n", "None, None, None, None, None, None, None,", "nothing: the model repeated itself"),
    ("x = [‸\n", "0, 0, 0, 0, 0, 0, 0, 0, 0, 0]", "x = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]‸\n"),
    ("x = [‸\n", "a, b, b, b, b, b, b", "nothing: the model repeated itself"),
    ("# ‸\n", "it is a file is a file is a file is a file", "nothing: the model repeated itself"),
    ("x = ‸\n", "2" + "0" * 40, "nothing: the model repeated itself"),
    ("x = ‸\n", "0xFFFFFFFFFFFFFFFF", "x = 0xFFFFFFFFFFFFFFFF‸\n"),
    ("x = [‸\n", "int(a), int(b), int(c), int(d), int(e)]", "x = [int(a), int(b), int(c), int(d), int(e)]‸\n"),
    ("# ‸\n", "----------------------------", "# ----------------------------‸\n"),
    ("    return x\n    ‸\n", "return x\n", nothing("the model repeated the line above")),
    ("    self.x = x‸\n", "\n    self.x = x\n", nothing("the model repeated the line above")),
    ("    self.x = x‸\n", "\n    self.y = x", "    self.x = x\n    self.y = x‸\n"),
]
LEAKS = [
    ("x = ‸\n", "1<fim_middle>2", "x = 1‸\n"),
    ("x = ‸\n", "1<|endoftext|>", "x = 1‸\n"),
    ("x = ‸\n", "<fim_suffix>", nothing("the model wrote a control token as text")),
    ("# a <fim_middle>\nx = ‸\n", "'<fim_middle>'", "# a <fim_middle>\nx = '<fim_middle>'‸\n"),
]
NOTHING = [
    ("x = 1‸\n", "", nothing(postprocess.NOTHING)),
    ("x = 1‸\n", "  ", nothing(stopping.ONLY_SPACE)),
    ("x = 1‸\n", "\n\n", nothing(stopping.ONLY_SPACE)),
    ("x = ‸\n", "1   ", "x = 1‸\n"),
]
NO_TEXT = [
    ("x = ‸\n", "'é\ufffd'", "x = 'é‸\n"),
    ("x = ‸\n", "\ufffdx", nothing("the model wrote bytes that are no text")),
]

TABLE = {name.lower(): rows for name, rows in list(globals().items()) if name.isupper() and isinstance(rows, list)}
ROWS = [pytest.param(*row, id=f"{name}-{n}") for name, rows in TABLE.items() for n, row in enumerate(rows)]


@pytest.mark.parametrize(("marked", "text", "expected"), ROWS)
def test_what_is_shown(marked: str, text: str, expected: str) -> None:
    assert accepted(marked, text) == expected


CUT_SHORT = [
    ("def f():\n    ‸\n", "a = 1\n    retu", "def f():\n    a = 1‸\n"),
    ("def f():\n    ‸\n", "a = 1 + lon", "def f():\n    a = 1 + lon‸\n"),
    ("x = ‸\n", "a + lon", "x = a + lon‸\n"),
    ("def f():‸\n", "\n    a = 1 + lon", "def f():\n    a = 1 + lon‸\n"),
]


@pytest.mark.parametrize(("marked", "text", "expected"), CUT_SHORT)
def test_a_last_line_that_the_token_limit_cut_is_not_shown(marked: str, text: str, expected: str) -> None:
    assert accepted(marked, text, cut_short=True) == expected


@pytest.mark.parametrize(("marked", "text", "expected"), ROWS)
def test_stopping_while_the_text_arrives_changes_nothing(marked: str, text: str, expected: str) -> None:
    random = Random(3)
    for _ in range(4):
        stopper = Stopper(place(marked)[0])
        end = 0
        while end < len(text):
            piece = text[end : end + random.randint(1, 5)]
            end += len(piece)
            if stopper.feed(piece):
                break
        assert accepted(marked, text[:end]) == expected


ENDS_EARLY = [
    ("x = ‸\n", "1\n"),
    ("def f():\n    ‸\n", "return 1\n\n"),
    ("def f():\n    ‸\n", "return 1\nd"),
    ("def f():\n    ‸\n    return x\n", "x = 1\n    return x\n"),
    ("if (a) {‸\n", "\n  b();\n}\n"),
    ("x = ‸\n", "<fim_middle>"),
    ("‸\n", "print(x)\nprint(x)\nprint(x)\n"),
    ("x = [‸\n", "a, a, a, a, a, "),
]


@pytest.mark.parametrize(("marked", "text"), ENDS_EARLY)
def test_generation_stops_at_the_first_character_that_decides(marked: str, text: str) -> None:
    stopper = Stopper(place(marked)[0])
    assert [stopper.feed(char) for char in text] == [False] * (len(text) - 1) + [True]


MODES = [
    ("‸", True),
    ("    ‸\n", True),
    ("\t‸  \n", True),
    ("def f():‸\n", True),
    ("if (a) {‸\n", True),
    ("if (a) {‸}\n", True),
    ("x = [‸]\n", True),
    ("f(‸)\n", True),
    ("const f = () =>‸\n", True),
    ("items.each do‸\n", True),
    ("redo‸\n", False),
    ("f(‸);\n", False),
    ("    ‸return x\n", False),
    ("x = ‸\n", False),
    ("x = f(a‸)\n", False),
    ("# a comment‸\n", False),
    ("    // as follows:‸\n", False),
]


@pytest.mark.parametrize(("marked", "lines"), MODES)
def test_one_line_or_several(marked: str, lines: bool) -> None:
    assert place(marked)[0].multi_line is lines
    assert place(marked, "always")[0].multi_line
    assert not place(marked, "never")[0].multi_line


def test_a_place_reads_only_what_is_near() -> None:
    text = "x = 1\n" * 10_000
    near, _ = place(text + "    ‸\n" + text)
    assert len("".join((*near.above, *near.below))) <= 8000 and not near.from_start


def test_a_closer_whose_opener_is_out_of_sight_is_shown() -> None:
    far = "class A {\n" + "  int x;\n" * 1000
    assert polished(far + "‸\n", "}\n")[0] is not None
    assert polished("‸\n", "}\n")[0] is None
