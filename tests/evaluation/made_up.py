"""Small problems in the format of HumanEval and its single-line infilling, for all tests of this room."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from starfill.evaluation.problems import Problem

ADD: dict[str, Any] = {
    "task_id": "Made/0",
    "prompt": 'from typing import List\n\n\ndef total(numbers: List[int]) -> int:\n    """The sum.\n'
    '    >>> total([1, 2])\n    3\n    """\n',
    "entry_point": "total",
    "canonical_solution": "    result = 0\n    for number in numbers:\n        result += number\n    return result\n",
    "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate([1, 2]) == 3\n"
    "    assert candidate([]) == 0\n",
}
TWICE: dict[str, Any] = {
    "task_id": "Made/1",
    "prompt": "import math\n\n\ndef half(x):\n    return x / 2\n\n\n"
    'def root_of_half(x):\n    """The root of half of x."""\n',
    "entry_point": "root_of_half",
    "canonical_solution": "    return math.sqrt(half(x))\n",
    "test": "def check(candidate):\n    assert candidate(8) == 2\n",
}
GAP: dict[str, Any] = {
    "task_id": "Gap/0/L1",
    "prompt": "def add(a, b):\n    # the sum of both\n",
    "suffix": "    return result\n",
    "entry_point": "add",
    "canonical_solution": "    result = a + b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
}
LAST: dict[str, Any] = {**GAP, "task_id": "Gap/0/L2", "prompt": "def add(a, b):\n    result = a + b\n", "suffix": ""}
LAST["canonical_solution"] = "    return result\n"


def problem(record: dict[str, Any]) -> Problem:
    return Problem(**{"suffix": None, **record})


def write(path: Path, *records: Any) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
