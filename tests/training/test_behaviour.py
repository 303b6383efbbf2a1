"""Whether two pieces of code do the same: both are run on made-up inputs, in a child process."""

import pytest

from instructions import behaviour


@pytest.mark.parametrize(
    ("before", "after", "loose", "verdict"),
    [
        ("def f(n):\n    return n > 1", "def g(n):\n    return not n <= 1", False, "same"),
        ("def f(n):\n    return n > 1", "def f(n):\n    return n >= 1", False, "same"),  # n is 3, 0 and -2
        ("def f(n):\n    return n > 0", "def f(n):\n    return n >= 0", False, "different"),
        ("x = [y.z() for y in self.ys]", "x = []\nfor y in self.ys:\n    x.append(y.z())", True, "same"),
        ("x = [y.z() for y in self.ys]", "x = []\nfor y in self.ys:\n    x.append(y.w())", True, "different"),
        ("self.a = 1\nself.b = 2", "self.b = 2\nself.a = 1", False, "different"),
        ("import os", "import os", False, "unknown"),
        ("x = y.__class__", "x = y.__class__", False, "unknown"),
        ("while True:\n    pass", "while True:\n    pass", False, "unknown"),
        ("raise Wrong(a)", "raise Wrong(a)", False, "unknown"),
    ],
)  # fmt: skip
def test_behaviour(before: str, after: str, loose: bool, verdict: str) -> None:
    assert behaviour.verdict(before, after, loose) == verdict


def test_code_runs_in_a_child_that_can_hang_or_die_alone() -> None:
    endless = "def f(n):\n    return [x for x in iter(int, 1)]"
    requests = [{"before": endless, "after": endless, "loose": False}, {"code": "def f(n, s):\n    return s * n"}]
    assert list(behaviour.ask(requests)) == [
        None,
        [[[3, "abc"], "'abcabcabc'"], [[0, ""], "''"], [[-2, "Two words"], "''"]],
    ]
