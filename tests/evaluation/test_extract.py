"""The program in a model's answer: each row is a way in which models wrap, repeat, prolong or break off their code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.made_up import ADD, GAP, LAST, TWICE, problem
from starfill.evaluation.extract import program

BODY = ADD["canonical_solution"]
WHOLE = "def total(numbers):\n" + BODY

RIGHT = {
    "the body": BODY,
    "the body after a blank line": "\n" + BODY,
    "the body, its first indentation stripped": BODY.strip(),
    "the body, all of it stripped of its indentation": "return sum(numbers)",
    "several lines without indentation": "result = 0\nfor number in numbers:\n    result += number\nreturn result",
    "the body indented with tabs": BODY.replace("    ", "\t"),
    "with carriage returns": BODY.replace("\n", "\r\n"),
    "the whole function": WHOLE,
    "the whole prompt and more": ADD["prompt"] + BODY,
    "types whose import the prompt has": "def total(numbers: List[int]) -> int:\n" + BODY,
    "a fence": f"```python\n{WHOLE}```",
    "a fence without a language": f"```\n{WHOLE}```\n",
    "a fence that is never closed": f"Sure!\n\n```python\n{WHOLE}",
    "a fence around the body": f"```python\n{BODY}```",
    "an indented fence": "1. This:\n   ```py\n   def total(numbers):\n       return sum(numbers)\n   ```\n",
    "text around a fence": f"Here is the function:\n\n```python\n{WHOLE}```\n\nIt adds them up one by one.",
    "a wrong block first": f"```bash\npip install total\n```\nthen\n```python\n{WHOLE}```",
    "a call before the function": f"```python\nprint(total([1]))\n```\n```python\n{WHOLE}```",
    "imports in a block of their own": (
        "```python\nfrom functools import reduce\n```\nThen:\n"
        "```python\ndef total(numbers):\n    return reduce(int.__add__, numbers, 0)\n```"
    ),
    "a second version after the first": f"```python\n{WHOLE}```\nor\n```python\ndef total(numbers):\n    return 0\n```",
    "text before, without a fence": f"The function is as follows.\n\n{WHOLE}",
    "text before, with a word that begins code": f"from here on it's easy: import nothing\n\n{WHOLE}",
    "text after, without a fence": f"{WHOLE}\nThis function adds up the numbers. It's quick.",
    "text after, and code again": f"{WHOLE}\nHow to use it:\n\nprint(total([1, 2]))",
    "an example run": f"{WHOLE}\n# Example usage:\nnumbers = [1, 2]\nprint(total(numbers))\n",
    "an example that waits for input": f"{WHOLE}\nn = int(input())\nprint(n)\n",
    "an example that fails": f"{WHOLE}\nresult = total(None)\n",
    "tests of its own that are wrong": f"{WHOLE}\nassert total([1]) == 2\n",
    "a main part": f'{WHOLE}\nif __name__ == "__main__":\n    import sys\n    sys.exit(total([1]))\n',
    "a main function": f"{WHOLE}\ndef main():\n    print(total([1]))\n\nif __name__ == '__main__':\n    main()\n",
    "an endless loop at the end": f"{WHOLE}\nwhile True:\n    pass\n",
    "a half-finished function after it": f"{WHOLE}\ndef mean(numbers):\n    return total(numbers) / (len(",
    "a half-finished text in quotes": f'{WHOLE}\ndef mean(numbers):\n    """The mean of',
    "after the body, another function": BODY + "\ndef mean(numbers):\n    return (",
    "after the body, an example": BODY + "\nprint(total([1]))\nassert total([1]) == 7\n",
    "a helper": "def add(a, b):\n    return a + b\n\n\ndef total(numbers):\n    s = 0\n    for n in numbers:\n"
    "        s = add(s, n)\n    return s\n",
    "a constant": "START = 0\n\n\ndef total(numbers):\n    return sum(numbers, START)\n",
    "a constant after text": "With a constant:\n\nSTART = 0\n\ndef total(numbers):\n    return sum(numbers, START)\n",
    "a constant below": "def total(numbers):\n    return sum(numbers, START)\n\nSTART = 0\n",
    "a future import": "from __future__ import annotations\n\ndef total(numbers: Nothing):\n    return sum(numbers)\n",
    "a decorator": "import functools\n\n@functools.cache\ndef zero():\n    return 0\n\ndef total(numbers):\n"
    "    return sum(numbers, zero())\n",
    "an escape that Python warns of": "def total(numbers):\n    '\\d'\n    return sum(numbers)\n",
}


def passes(record: dict[str, object], answer: str) -> bool:
    """Run here: everything in these tables is harmless."""
    made = problem(record)
    space: dict[str, object] = {"__name__": "solution"}
    try:
        for part in made.test_parts(program(made, answer)):
            exec(compile(part, "part", "exec", dont_inherit=True), space)
    except (Exception, SystemExit):
        return False
    return True


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("answer", RIGHT.values(), ids=RIGHT.keys())
def test_right_answers_pass(answer: str) -> None:
    assert passes(ADD, answer), program(problem(ADD), answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I can't do that.",
        "    return 0\n",
        "    pass\n",
        "def total(numbers):\n    return 0\n",
        "def sum_up(numbers):\n    return sum(numbers)\n",
        "def total(numbers):\n    result = 0\n    for number in numbers:\n        result +=",
        "```python\nprint('hello')\n```",
        "def total(numbers: Sequence[int]):\n    return sum(numbers)\n",
    ],
)
def test_wrong_answers_fail(answer: str) -> None:
    assert not passes(ADD, answer), program(problem(ADD), answer)


@pytest.mark.parametrize(
    "answer",
    [
        "    return math.sqrt(half(x))",
        "def root_of_half(x):\n    return math.sqrt(half(x))",
        "def root_of_half(x):\n    return half(x) ** 0.5",
        "def half(x):\n    return x * 0.5\n\ndef root_of_half(x):\n    return math.sqrt(half(x))",
    ],
)
def test_what_the_prompt_has_before_the_function_is_kept(answer: str) -> None:
    assert passes(TWICE, answer), program(problem(TWICE), answer)


def test_a_middle_goes_between_prompt_and_suffix() -> None:
    assert program(problem(GAP), "    result = a + b") == GAP["prompt"] + "    result = a + b\n" + GAP["suffix"]
    assert passes(GAP, "    result = b + a\n")
    assert passes(LAST, "    return b + a")
    assert not passes(GAP, "    result = b - a\n")


def stripped(code: str) -> list[str]:
    return [line.rstrip() for line in code.split("\n")]


def test_an_extracted_program_is_itself() -> None:
    for record in (ADD, TWICE):
        for answer in (*RIGHT.values(), "nothing", "", "def ("):
            found = program(problem(record), answer)
            assert stripped(program(problem(record), found)) == stripped(found)


LINES = ["def total(numbers):", "    return 0", "```python", "```", "text", "x = (", "\t", "  x = 1", ""]


@given(st.lists(st.sampled_from(LINES)))
def test_nothing_is_too_wild(pieces: list[str]) -> None:
    found = program(problem(ADD), "\n".join(pieces))
    assert stripped(program(problem(ADD), found)) == stripped(found)
