"""Instruction data: every rewrite as a table of what goes in and what comes out, and what holds for all examples."""

import ast
import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructions import build
from instructions.crop import dedented
from instructions.phrasing import WORDINGS
from instructions.source import Edit, Source, apply
from instructions.tasks import conditions, loops, paths, speed, strings
from instructions.tasks.annotations import typed
from instructions.tasks.describe import commented, described
from instructions.tasks.fixes import FAULTS, faults
from instructions.tasks.names import functions, local_variables, renamed, with_unused_variable
from starfill.assist.instruct.actions import INSTRUCTIONS

TABLE = {
    conditions.return_condition: [
        ("if a == b:\n    return True\nelse:\n    return False", "return a == b"),
        ("if a in b:\n    return False\nreturn True", "return a not in b"),
        ("if not a:\n    return True\nreturn False", "return not a"),
        ("if not a:\n    return False\nreturn True", "return bool(a)"),
        ("if not a > b:\n    return False\nreturn True", "return a > b"),
        ("if a:\n    return True\nreturn False", "return bool(a)"),
        ("if a < b or c:\n    return False\nreturn True", "return not (a < b or c)"),
        ("if a:\n    return True  # why\nreturn False", None),
        ("if a:\n    return True\nelif b:\n    return True\nelse:\n    return False", None),
    ],
    conditions.spell_out_condition: [
        ("def f(a):\n    return a == 1", "def f(a):\n    if a == 1:\n        return True\n    return False"),
        (
            "def f(a):\n\n    return not a",
            "def f(a):\n\n    if a:\n        return False\n    else:\n        return True",
        ),
        ("def f(a):\n    return a", None),
    ],
    conditions.merge_ifs: [
        ("if a:\n    if b or c:\n        x()\n\n        y()", "if a and (b or c):\n    x()\n\n    y()"),
        ("if a and b:\n    if c:\n        x()", "if a and b and c:\n    x()"),
        ("if a:\n    if b:\n        x()\n    else:\n        y()", None),
        ("if a:\n    # why\n    if b:\n        x()", None),
        ('if a:\n    if b:\n        x("""1\n2""")', None),
    ],
    conditions.split_if: [
        ("if 1:\n    if a and b and c:\n        x()", "if 1:\n    if a:\n        if b and c:\n            x()"),
        ("if 1:\n    if a or b:\n        x()", None),
    ],
    conditions.plain_comparison: [
        ("x = a == None", "x = a is None"),
        ("if not a in b: pass", "if a not in b: pass"),
        ("if not a == b: pass", "if a != b: pass"),
        ("if len(a) == 0: pass", "if not a: pass"),
        ("while len(a.b) > 0: pass", "while a.b: pass"),
        ("x = not a < b", None),
        ("x = f'{a == None}'", None),
    ],
    conditions.clumsy_comparison: [
        ("if a is not None: pass", "if a != None: pass"),
        ("if a not in b: pass", "if not a in b: pass"),
        ("x = a is None", None),
    ],
    loops.to_comprehension: [
        ("xs = []\nfor y in ys:\n    xs.append(y.z)", "xs = [y.z for y in ys]"),
        ("xs = set()\nfor y in ys:\n    if y:\n        xs.add(y)", "xs = {y for y in ys if y}"),
        ("d = {}\nfor k, v in p:\n    d[k] = v + 1", "d = {k: v + 1 for k, v in p}"),
        ("xs = []\nfor y in ys:\n    xs.append(len(xs))", None),
        ("xs = []\nfor y in ys:\n    # why\n    xs.append(y)", None),
        ("xs = []\nfor y in ys:\n    xs.append(y)\nelse:\n    pass", None),
    ],
    loops.to_loop: [
        (
            "if 1:\n    xs = [y for y in ys if y]",
            "if 1:\n    xs = []\n    for y in ys:\n        if y:\n            xs.append(y)",
        ),
        (
            "def f(p):\n    return {k: v for k, v in p}",
            "def f(p):\n    result = {}\n    for k, v in p:\n        result[k] = v\n    return result",
        ),
        ("if 1:\n    x = [x for x in y]", None),
    ],
    loops.to_any: [
        ("for x in xs:\n    if x.ok:\n        return True\nreturn False", "return any(x.ok for x in xs)"),
        ("for x in xs:\n    if not x.ok:\n        return False\nreturn True", "return all(x.ok for x in xs)"),
        ("for x in xs:\n    if x:\n        return 1\nreturn 0", None),
    ],
    loops.from_any: [
        (
            "def f(xs):\n    return all(x > 1 for x in xs)",
            "def f(xs):\n    for x in xs:\n        if not x > 1:\n            return False\n    return True",
        ),
    ],
    loops.with_index: [
        (
            "def f(xs):\n    for x in xs:\n        g(x)",
            "def f(xs):\n    for i in range(len(xs)):\n        x = xs[i]\n        g(x)",
        ),
        ("def f(xs, i):\n    for x in xs:\n        g(x)", None),
    ],
    strings.to_f_string: [
        ('x = "a %s b %r" % (c, d.e)', 'x = f"a {c} b {d.e!r}"'),
        ('x = "100%% of %s" % c', 'x = f"100% of {c}"'),
        ('x = "{} {{}} {n}".format(c, n=d)', 'x = f"{c} {{}} {d}"'),
        ('x = "a" + str(b) + "c"', 'x = f"a{b}c"'),
        ("x = 'a' + b", None),
        ('x = "%d" % c', None),
        ('x = "%s" % d["k"]', None),
        ('x = "{:>4}".format(c)', None),
        ('x = "{}".format(*c)', None),
    ],
    strings.from_f_string: [
        ('x = f"{b}"', 'x = "{}".format(b)'),
        ('\nx = f"{b}, {c}"', '\nx = str(b) + ", " + str(c)'),
        ('\n\nx = f"{b}, {c}"', '\n\nx = "%s, %s" % (b, c)'),
        ('x = f"{a:>4}"', None),
    ],
    paths.to_pathlib: [
        ("x = os.path.exists(p)", "x = Path(p).exists()"),
        ("x = os.path.join(a, b + c, 'd')", "x = Path(a) / (b + c) / 'd'"),
        ("x = os.path.isfile(os.path.join(a, b))", "x = (Path(a) / b).is_file()"),
        ("x = os.path.basename(p)", "x = Path(p).name"),
        ("x = os.path.join(*parts)", None),
    ],
    speed.to_generator: [("x = any([y for y in ys])", "x = any(y for y in ys)"), ("x = len([y for y in ys])", None)],
    speed.to_list: [("x = sum(y for y in ys)", "x = sum([y for y in ys])")],
    speed.to_set: [("x = a in [1, 2, 3]", "x = a in {1, 2, 3}"), ("x = a in [b, 2, 3]", None)],
    speed.without_keys: [
        ("for k in d.keys(): pass", "for k in d: pass"),
        ("x = k in d.keys()", "x = k in d"),
        ("x = d.keys()", None),
    ],
    speed.without_items: [
        ("for k, v in d.items():\n    f(k, v)", "for k in d:\n    v = d[k]\n    f(k, v)"),
    ],
    speed.to_sorted: [("x = max(xs)", "x = sorted(xs)[-1]"), ("x = min(a, b)", None)],
    speed.without_join: [
        (
            "def f(xs):\n    return ''.join(g(x) for x in xs)",
            "def f(xs):\n    result = ''\n    for x in xs:\n        result += g(x)\n    return result",
        ),
    ],
    with_unused_variable: [("x = 1", None)],
}


ROWS = [pytest.param(f, *row, id=f"{f.__name__} {i}") for f, rows in TABLE.items() for i, row in enumerate(rows)]


@pytest.mark.parametrize(("rewrite", "before", "after"), ROWS)
def test_rewrites(rewrite: build.Rewrite, before: str, after: str | None) -> None:
    edits = list(rewrite(Source(before)))
    assert apply(before, edits) == (before if after is None else after)
    if after:
        ast.parse(after)


def test_every_rewrite_of_the_table_of_tasks_has_a_row() -> None:
    used = {f for directions in build.REWRITES.values() for found in directions for f in found}
    assert used == set(TABLE)


BEFORE = '''\
class Café:
    def total(self, rows: list[Row], *, start: int = 0, **rest: object) -> int:
        """Add the rows' values up.

        And more.
        """
        result = start
        # Skip what has no value
        for row in rows:
            if row is None:
                continue
            result += row.value + self.rate
        try:
            result = round(result)
        except Exception:
            pass
        return int(result)
'''


def test_an_unused_variable_comes_after_the_docstring() -> None:
    (edit,) = with_unused_variable(Source(BEFORE))
    lines = apply(BEFORE, [edit]).split("\n")
    assert lines[7].strip() == "result = start"
    assert lines[6].startswith("        ") and lines[6].strip()


def test_types_are_taken_away_and_nothing_else() -> None:
    ((bare, whole),) = typed(Source(BEFORE))
    assert whole == dedented(BEFORE[BEFORE.index("    def") :].rstrip())
    assert bare.startswith("def total(self, rows, *, start=0, **rest):\n")
    assert bare.split("\n")[1:] == whole.split("\n")[1:]


def test_a_described_function() -> None:
    (found,) = described(Source(BEFORE))
    assert found.summary == "Add the rows' values up."
    assert found.documented == found.bare.replace("    result", f'    """{found.summary}"""\n    result', 1)
    assert found.signature.startswith("total(self, rows: list[Row], *, start")


def test_a_comment_and_its_statements() -> None:
    assert list(commented(Source("x = 1\n# Add them up, all of them\ntotal = sum(xs)\nz = total\n\nw = 2\n"))) == [
        ("Add them up, all of them", "total = sum(xs)\nz = total")
    ]


def test_renaming_leaves_attributes_strings_and_keywords() -> None:
    text = "def f(a):\n    total = a.total + g(total=1)\n    # total so far\n    return total, 'total'\n"
    source = Source(text)
    (function,) = functions(source)
    assert local_variables(function) == ["total"]
    assert apply(text, renamed(source, function, "total", "t")) == (
        "def f(a):\n    t = a.total + g(total=1)\n    # t so far\n    return t, 'total'\n"
    )


@pytest.mark.parametrize("text", ["def f(a):\n    x1 = lambda: a\n    return x1", "def f(a):\n    return f'{a}'"])
def test_variables_of_mixed_scopes_are_left_alone(text: str) -> None:
    (function,) = functions(Source(text))
    assert local_variables(function) == []


def test_every_fault_breaks_one_place() -> None:
    source = Source(BEFORE)
    found = {find.__name__: list(find(source)) for find in FAULTS}
    assert all(found.values()), found
    assert [f.problem for f in found["misspelt"]] == ["Undefined name `reuslt`"]
    assert [f.problem for f in found["without_self"]] == ["Undefined name `rate`"]
    for fault in faults(source, Random(0)):
        assert apply(BEFORE, [fault.edit]) != BEFORE


def test_edits_inside_others_are_left_out_and_columns_are_bytes() -> None:
    assert apply("abcdef", [Edit(1, 4, "x"), Edit(2, 3, "y"), Edit(4, 5, "z")]) == "axzf"
    source = Source("é = 'ü'; b = 1\n")
    assert [source.of(s) for s in source.tree.body] == ["é = 'ü'", "b = 1"]  # type: ignore[attr-defined]


@given(
    st.lists(st.sampled_from([row[0] for rows in TABLE.values() for row in rows]), min_size=1, max_size=6),
    st.integers(),
)
def test_examples_are_code_and_their_sides_differ(pieces: list[str], seed: int) -> None:
    text = "".join("def f(a, b):\n" + "".join(f"    {x}\n" for x in p.split("\n")) + "\n" for p in pieces) + BEFORE
    for example in build.examples(text, Random(seed)):
        assert example.given != example.output
        assert len(example.given) + len(example.output) <= build.MAX_CHARS
        if example.code:
            ast.parse(example.output)
        if example.given and example.task != "fix":
            ast.parse(example.given)


def test_every_action_is_trained_and_every_task_worded() -> None:
    assert {action for action, _ in WORDINGS.values()} - {""} == set(INSTRUCTIONS)
    assert set(build.REWRITES) <= set(WORDINGS)


def test_build_is_repeatable_and_fences_code(tmp_path: Path) -> None:
    corpus = tmp_path / "train.jsonl"
    corpus.write_text(json.dumps({"text": BEFORE}) + "\n" + json.dumps({"text": "def f(:"}) + "\n")
    first, second = (build.build(corpus, 10, 3) for _ in range(2))
    assert first == second
    lines = [e.line() for e in first]
    assert {"docstring", "explain", "types", "write a function", "fix"} <= {line["task"] for line in lines}
    for line in lines:
        assert line["output"].startswith("```python\n") == (line["task"] != "explain")
