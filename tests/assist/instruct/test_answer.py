"""The code in a model's answer: each row is a way in which models wrap their code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starfill.assist.instruct.answer import code_in
from starfill.assist.instruct.fences import blocks

F = "def f(x):\n    return x + 1"
JS = "function f(x) {\n  return x + 1;\n}"
DOC = 'def f(x):\n    """Adds one.\n\n    ```python\n    f(1)\n    ```\n    """\n    return x + 1'

PYTHON = {
    "the code": F,
    "a line end before it, as the bundled model begins": f"\n{F}\n",
    "blank lines around it": f"\n  \n\n{F}\n\n   \n",
    "carriage returns": F.replace("\n", "\r\n"),
    "a fence": f"```python\n{F}\n```",
    "a fence after a line end": f"\n```python\n{F}\n```\n",
    "a fence without a language": f"```\n{F}\n```",
    "a fence with attributes": f'```python title="f.py" {{1}}\n{F}\n```',
    "a fence with another name": f"```Py\n{F}\n```",
    "a heading before it": f"# The code\n\n```python\n{F}\n```\n\n# Why\n\nIt is shorter.",
    "a bold line before it": f"**The code:**\n```python\n{F}\n```",
    "a language that is not quite right": f"```cython\n{F}\n```",
    "tildes": f"~~~ python\n{F}\n~~~",
    "a longer fence": f"````python\n{F}\n````",
    "a fence that is never closed": f"Sure!\n\n```python\n{F}\n",
    "a fence that is closed with more": f"```python\n{F}\n`````",
    "an indented fence": "1. This:\n   ```py\n   def f(x):\n       return x + 1\n   ```\n",
    "text around a fence": f"Here is the code:\n\n```python\n{F}\n```\n\nIt adds one. I hope this helps!",
    "an example after it": f"```python\n{F}\n```\nUsage:\n```python\nx = f(1)\nprint(x, f(x), f(f(x)))\n```",
    "a shell command before it": f"```bash\npip install f\n```\nThen:\n```python\n{F}\n```",
    "imports in a block of their own": f"```python\nimport a\nfrom b import c\n```\nand\n```python\n{F}\n```",
    "output after it": f"```\n{F}\n```\n\nOutput:\n\n```\n2\n```",
    "an empty block before it": f"```python\n```\n```python\n{F}\n```",
    "a fence that shows how to use unfenced code": f"{F}\n\nExample:\n\n```python\nprint(f(1))\n```",
    "a fence that the prompt had opened": f"{F}\n```\n\nThis adds one.",
    "a fence that the prompt had opened, nothing after it": f"{F}\n```",
    "text before, without a fence": f"Here is the simplified function:\n\n{F}",
    "text right before": f"Here's the simplified function:\n{F}",
    "text that looks like code before": f"from here on it's easy: import nothing\n\n{F}",
    "text after": f"{F}\n\nThis function adds one. It's quick.",
    "text right after": f"{F}\nThis function adds one.",
    "text after, in several paragraphs": f"{F}\n\nExplanation:\n\n- The loop is gone.\n- `f` is a word.\n\nThat's all!",
    "text after, and code again": f"{F}\n\nHow to use it:\n\nprint(f(1))",
    "wrapped text after": f"{F}\n\nThis function adds one to what it gets and\nreturns it to the caller.",
    "text around": f"Sure, here you go!\n\n{F}\n\nLet me know if you want it shorter.",
}
SAME = {  # what an answer without fences is: itself
    "python": [
        F,
        DOC,
        "x = 1",
        "return x",
        "else:\n    return 1",
        "elif x:\n    pass",
        "x = (",
        '"""This is the docstring of a module.\n\nIt says what this is about.\n"""\n\nimport a',
        "# The comment says what this is.\nx = 1\n\n# This is another one.\ny = 2",
        "class A:\n    x: int\n\n    def f(self):\n        return 1",
        "print('This is it.')",
        "# nothing but a comment",
        "@cache\ndef f():\n    pass",
        '    """The docstring, indented."""',
        "def f(:\n    return 1\n\n\ndef g():\n    return 2",  # broken, and yet all of it
        "def f():\n    return [\n\nx = 1",
    ],
    "javascript": [
        JS,
        "/**\n * This is the function.\n */\n" + JS,
        "const x = `\nThis is a text.\n\nIt is long.\n`;",
        "x++",
    ],
    "c": ["/*\nThis is the file.\n\nIt does this and that.\n*/\nint x;", "#define A 1", "default:\n  break;"],
    "shellscript": ["#!/bin/sh\necho This is it", "cat <<EOF\nThis is a text.\nEOF"],
    "sql": ["SELECT a FROM b WHERE c IS NULL", "-- This is the query.\nSELECT a\nFROM b;"],
    "yaml": ["name: This\nkey:\n  - one\n  - two", "on: [push]"],
    "css": ["a {\n  color: red;\n}"],
    "markdown": ["# Title\n\nThis is the text.\n\n```python\nx = 1\n```\n\nAnd this is more."],
    "plaintext": ["This is the text."],
    "ruby": ["puts x unless y"],
    "rust": ["/// This is the thing.\nfn f() {}"],
}
NOTHING = {
    "python": [
        "",
        "\n \n",
        "I can't do that.",
        "Done",
        "This is it",
        "Sure!\n\nDone",
        "Sorry, I am not able to change this code. It is too long.",
        "This code adds one to x and returns it.\n\nIt's correct as it is, so that nothing has to be changed.",
        "The function has the following problems:\n\n1. It is slow.\n2. It has no tests.",
        "```python\n```",
        "```\n\n```\n",
        "```diff\n- x = 1\n+ x = 2\n```",
        "First install it:\n\n```sh\npip install x\n```",
    ],
    "javascript": [
        "I can't do that.",
        "Sure!",
        "This function returns the sum of its two numbers.",
        "该函数返回总和。",
    ],
    "yaml": ["I can't do that."],
}


@pytest.mark.parametrize("answer", PYTHON.values(), ids=PYTHON)
def test_python(answer: str) -> None:
    assert code_in(answer, "python") == F


@pytest.mark.parametrize(("language", "code"), [(language, code) for language in SAME for code in SAME[language]])
def test_code_is_left_alone(language: str, code: str) -> None:
    assert code_in(code, language) == code
    assert code_in(f"\n{code}\n", language) == code
    if language not in ("markdown", "plaintext"):
        assert code_in(f"Here is the code:\n\n```\n{code}\n```\n\nThat is it.", language) == code


@pytest.mark.parametrize(
    ("language", "answer"), [(language, each) for language in NOTHING for each in NOTHING[language]]
)
def test_no_code(language: str, answer: str) -> None:
    assert code_in(answer, language) is None


@pytest.mark.parametrize(
    ("language", "answer"),
    [
        ("javascript", f"Here is the function:\n\n{JS}\n\nThis adds one.\n\nExample:\n\nf(1);"),
        ("javascript", f"```ts\nlet y;\n```\n```js\n{JS}\n```"),
        ("javascriptreact", f"```jsx\n{JS}\n```"),
        ("typescriptreact", f"```bash\nnpm install and much more of it, all on one long line\n```\n```tsx\n{JS}\n```"),
        ("go", f"```\nshort\n```\n```\n{JS}\n```"),
        ("java", f"Sure! Here's the code:\n{JS}\nThis function adds one."),
        ("vue", f"```vue\n{JS}\n```\n```js\n{JS} // and more\n```"),
        ("dart", f"{JS}\n\nThis function adds one to what it gets.\n\nf(1);"),
    ],
)
def test_other_languages(language: str, answer: str) -> None:
    assert code_in(answer, language) == JS


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("```markdown\n# A\n\n```sh\nls\n```\n\nB.\n```", "# A\n\n```sh\nls\n```\n\nB."),
        ("````md\n# A\n\n```\nls\n```\n````", "# A\n\n```\nls\n```"),
        ("```\n# A\n```", "# A"),
        ("Sure:\n\n```markdown\n# A\n```", "# A"),
        ("Sure:\n\n```md\n# A\n```\n\nDone.", "# A"),
    ],
)
def test_markdown(answer: str, text: str) -> None:
    assert code_in(answer, "markdown") == text


@pytest.mark.parametrize("fence", ["```", "~~~~"])
def test_fences_inside(fence: str) -> None:
    assert code_in(f"{fence}python\n{DOC}\n{fence}\nIt is done.", "python") == DOC


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("    x = 1\n    y = 2", "    x = 1\n    y = 2"),
        ("x = 1\n    y = 2\n    if y:\n        z = 3", "    x = 1\n    y = 2\n    if y:\n        z = 3"),
        ("x = 1\n  \n    y = 2", "    x = 1\n  \n    y = 2"),
        ("def f():\n        return 1", "def f():\n        return 1"),
        ("def f(\n        a): return (", "def f(\n        a): return ("),
        ("\n\n    \n    x = 1  \n\n", "    x = 1"),
    ],
)
def test_the_first_lines_indentation(answer: str, code: str) -> None:
    assert code_in(answer, "python") == code


def test_blocks() -> None:
    text = "a\n```js x  \nb\n```\nc `d` ```e```\n  ~~~{.rust}\n  f\n   g\n      ~~~\n     ~~~\n```\nh\n"
    found = blocks(text)
    assert [(block.info, block.language, block.code, block.closed) for block in found] == [
        ("js x", "js", "b\n", True),
        ("{.rust}", "rust", "f\n g\n    ~~~\n", True),
        ("", "", "h\n", False),
    ]
    assert [text[block.start :].split("\n")[0] for block in found] == ["```js x  ", "  ~~~{.rust}", "```"]


PIECES = st.sampled_from(
    [
        "def f():",
        "    return 0",
        "```python",
        "```",
        "~~~",
        "````",
        "This is a text.",
        "x = (",
        "\t",
        "",
        "\r",
        "\x0c",
        "\ud800",
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES), st.sampled_from(["python", "javascript", "markdown", "ruby", "elm", ""]))
def test_nothing_is_too_wild(pieces: list[str], language: str) -> None:
    code = code_in("\n".join(pieces), language)
    assert code is None or (code.strip() and "\r" not in code)
    if code is not None:
        assert all(line.strip() in "\n".join(pieces) for line in code.split("\n"))
