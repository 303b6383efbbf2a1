"""What the model sees of a target, and its code back in the document."""

from __future__ import annotations

import pytest
from hypothesis import example, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from starfill.assist.instruct.rewrite import fitted, given
from starfill.text.document import Document
from starfill.text.position import Span


def doc(text: str, language: str = "python") -> Document:
    return Document.open("file:///a", language, 1, text)


def between(text: str, language: str = "python") -> tuple[Document, Span]:
    """A document, and as its target what stands between « and »."""
    start, end = text.index("«"), text.index("»") - 1
    return doc(text.replace("«", "").replace("»", ""), language), Span(start, end)


METHOD = "class A:\n«    def f(self):\n        return 1»\n\n    x = 2\n"
QUERY = 'def a():\n«    def f():\n        return """\nSELECT 1\n  FROM t\n"""»\n'


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("«def f():\n    pass»\n", "def f():\n    pass"),
        (METHOD, "def f(self):\n    return 1"),
        ("«\tdef f():\n\t\tpass»", "def f():\n\tpass"),
        ("«    a\r\n      b\r\n»", "a\n  b"),
        ("«    a\r      b\r»", "a\n  b"),
        ("«\n  \n    a\n   \n\n    b\n  \n»c", "a\n\n\nb"),
        ("«        return x\n    else:\n        return y»\n", "    return x\nelse:\n    return y"),
        ("«\ta\n    b»", "\ta\n    b"),  # they share nothing
        ("«\t    a\n\t  b»", "  a\nb"),
        ("«    a\n# b\n    c»", "a\n# b\nc"),
        ("«# b\n    c»", "# b\nc"),
        (QUERY, 'def f():\n    return """\nSELECT 1\n  FROM t\n"""'),
        ('«    """A\n\n    b\n    """\n    x»', '"""A\n\nb\n"""\nx'),
        ("«    x = '''\n'''\n    y = 1»", "x = '''\n'''\ny = 1"),
        ("«    it = `b\n    c`\n»", "it = `b\nc`"),
        ("«  \n\n»", ""),
        ("«»x", ""),
    ],
)
def test_given(text: str, seen: str) -> None:
    assert given(*between(text)) == seen


@pytest.mark.parametrize(
    ("text", "code", "fits"),
    [
        (METHOD, "def f(self):\n    return 2", "    def f(self):\n        return 2"),
        (METHOD, "    def f(self):\n        return 2", "    def f(self):\n        return 2"),  # indented already
        (METHOD, "def f(self):\n        x = 2\n        return 1", "    def f(self):\n        x = 2\n        return 1"),
        (METHOD, "\n\ndef f(self):\n    return 2\n\n", "    def f(self):\n        return 2"),
        (METHOD, "def f(self):\r\n    return 2\r\n", "    def f(self):\n        return 2"),
        (METHOD, "def f(self):\n\treturn 2", "    def f(self):\n        return 2"),
        (METHOD, "def f(self):\n  return 2", "    def f(self):\n        return 2"),
        (METHOD, "def f(self):\n    x = 1\n    \n    return x", "    def f(self):\n        x = 1\n\n        return x"),
        (METHOD, "def f(self):  \n    return 2 ", "    def f(self):\n        return 2"),
        (METHOD, "def f(self):\n    if 1:\n        return 2", "    def f(self):\n        if 1:\n            return 2"),
        (
            METHOD,
            'def f(self):\n    """A\n\n    B.\n    """',
            '    def f(self):\n        """A\n\n        B.\n        """',
        ),
        (METHOD, 'def f(self):\n    return """\nX\n"""', '    def f(self):\n        return """\nX\n"""'),
        (METHOD, "", "    def f(self):\n        return 1"),
        ("«def f():\n\treturn 1»", "def f():\n    return 2", "def f():\n\treturn 2"),
        (
            "«\tdef f():\n\t\treturn 1»",
            "def f():\n    if 1:\n        return 2",
            "\tdef f():\n\t\tif 1:\n\t\t\treturn 2",
        ),
        ("«\tdef f():\n\t\treturn 1»", "def f():\n  if 1:\n    return 2", "\tdef f():\n\t\tif 1:\n\t\t\treturn 2"),
        ("«\tdef f():\n\t\treturn 1»", "    def f():\n        return 2", "\tdef f():\n\t\treturn 2"),
        ("«\tf(a,\n\t  b)»", "f(a,\n  c)", "\tf(a,\n\t  c)"),
        ("if x:\n\ty\n«f = lambda: 1»\n", "def f():\n    return 1", "def f():\n\treturn 1"),
        ("if x:\n  y\n«f = lambda: 1»\n", "def f():\n    if x:\n        return 1", "def f():\n  if x:\n    return 1"),
        ("if x:\n    y\n«f = lambda: 1»\n", "def f():\n\treturn 1", "def f():\n    return 1"),
        ("«f = lambda: 1»", "def f():\n\treturn 1", "def f():\n\treturn 1"),
        ("«if x:\n  f(a,\n    b)»", "if x:\n  f(a,\n    c)", "if x:\n  f(a,\n    c)"),
        ("«a\r\nb\r\n»c\n", "a\nx\nb", "a\r\nx\r\nb\r\n"),
        ("«a»\r\nb\r\n", "a\nx", "a\r\nx"),
        ("«a\rb»", "a\nx\nb", "a\rx\rb"),
        ("«a\r\nb\nc\r\n»", "a\nb\nx\nc", "a\r\nb\nx\r\nc\r\n"),  # mixed: lines keep their own
        ("«a\nb»\r\nc\r\nd\r\n", "a\nx\nb", "a\nx\nb"),  # the target's own first
        ("«a\nb\n\n  \n»", "x", "x\n\n  \n"),
        ("«\n  \na\n»", "x\ny", "\n  \nx\ny\n"),
        ("«a  \n   \nb\t»", "a\n\nb\nc", "a\n   \nb\nc"),  # blank lines are the target's
        ("«a  \nb»", "a  \nc", "a  \nc"),
        ("«    a\n# b\n    c»", "a\n# b\nd", "    a\n# b\n    d"),
        ("«    \n»", "x = 1", "    x = 1\n"),
        (
            QUERY,
            'def f():\n    return """\nSELECT 2\n  FROM t\n"""',
            '    def f():\n        return """\nSELECT 2\n  FROM t\n"""',
        ),
        ('«    x = """\na\n"""»', 'x = """\nb\n"""', '    x = """\nb\n"""'),
        ('«    x = """\n    a\n    """»', 'x = """\nb\n"""', '    x = """\n    b\n    """'),
        (
            "«        return x\n    else:\n        return y»\n",
            "    return x\nelse:\n    return z",
            "        return x\n    else:\n        return z",
        ),
        (
            "«        return x\n    else:\n        return y»\n",
            "return x\nelse:\n    return y\n",  # the first line has lost its indentation
            "        return x\n    else:\n        return y",
        ),
        ("«        x\n    else:\n        y\n    z»\n", "x\nelse:\n    y\nz", "        x\n    else:\n        y\n    z"),
        (
            METHOD,
            "def f(self):\n    x = f(a,\n          b)\n    z",
            "    def f(self):\n        x = f(a,\n              b)\n        z",
        ),
        (
            METHOD,
            "def f(a,\n      b):\n    if a:\n        z",
            "    def f(a,\n          b):\n        if a:\n            z",
        ),
        (METHOD, "def f(self):\n        return 1\n\n    y = 3", "    def f(self):\n        return 1\n\n    y = 3"),
    ],
)
def test_fitted(text: str, code: str, fits: str) -> None:
    assert fitted(code, *between(text)) == fits


@pytest.mark.parametrize(
    ("language", "text", "code", "fits"),
    [
        ("markdown", "«a»", "a  \nb", "a  \nb"),
        ("javascript", "«  let a = `\n  x\n`;»", "let a = `\nx\n`;\nb", "  let a = `\n  x\n`;\n  b"),
        ("lisp", "«  (a `(b))»", "(a `(c))\n(d)", "  (a `(c))\n  (d)"),
        ("c", "«    a;\n#if B\n    b;\n#endif»", "a;\n#if B\nc;\n#endif", "    a;\n#if B\n    c;\n#endif"),
        ("go", "«\tx := 1»", "if y {\n    x := 1\n}", "\tif y {\n\t\tx := 1\n\t}"),
        ("javascript", "if (a) {\n  b\n}\n«c»", "if (c) {\n    d(\n        e)\n}", "if (c) {\n  d(\n    e)\n}"),
    ],
)
def test_other_languages(language: str, text: str, code: str, fits: str) -> None:
    assert fitted(code, *between(text, language)) == fits


LINE = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "    ", "        ", "\t", "\t\t", "  ", " \t", "\x0c"]),
    st.sampled_from(["", "a", "b", "x = '''", "'''", 'y = """z', '"""', "# c", "// d", "`", "it's", "\\", "é\u2028f"]),
    st.sampled_from(["", "", " ", "\t"]),
)
ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r"])
TEXTS = st.tuples(st.lists(st.tuples(LINE, ENDS).map("".join), max_size=8).map("".join), LINE).map("".join)
LANGUAGES = st.sampled_from(["python", "javascript", "c", "markdown", ""])


@st.composite
def targets(draw: st.DrawFn) -> tuple[Document, Span]:
    text, language = draw(TEXTS), draw(LANGUAGES)
    start = draw(st.integers(0, len(text)))
    return doc(text, language), Span(start, draw(st.integers(start, len(text))))


@settings(deadline=None)
@for_all(targets())
@example((doc("    # a\n        b"), Span(0, 15)))
@example((doc("\ta\n    b\r\n\t\tc"), Span(0, 14)))
def test_what_was_given_fits_back_exactly(target: tuple[Document, Span]) -> None:
    document, span = target
    seen = given(document, span)
    assert "\r" not in seen
    assert not seen or (seen.split("\n")[0].strip() and seen.split("\n")[-1].strip())
    assert fitted(seen, document, span) == document.slice(span.start, span.end)
    assert fitted(f"\n{seen}\n\n", document, span) == document.slice(span.start, span.end)


@settings(deadline=None)
@for_all(targets())
def test_indented_like_the_original_it_fits_too(target: tuple[Document, Span]) -> None:
    document, span = target
    text = document.slice(span.start, span.end)
    assert fitted(text, document, span).split() == text.split()
    if "'''" not in text and '"""' not in text and "`" not in text and "#" not in text and "//" not in text:
        assert fitted(text, document, span) == text


@settings(deadline=None)
@for_all(targets(), TEXTS)
def test_the_lines_are_the_models_and_the_ends_the_targets(target: tuple[Document, Span], code: str) -> None:
    document, span = target
    text = document.slice(span.start, span.end)
    found = fitted(code, document, span)
    if code.strip():
        lines = [line.strip() for line in code.strip().replace("\r\n", "\n").replace("\r", "\n").split("\n")]
        assert [line.strip() for line in found.strip().replace("\r\n", "\n").replace("\r", "\n").split("\n")] == lines
        assert found.endswith(("\n", "\r")) == text.endswith(("\n", "\r"))
