"""Whether a document parses after an edit: « old | new » is the edit; several may follow each other."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starfill.code.languages import LANGUAGES
from starfill.code.syntax import parses
from starfill.text.diff import line_edits
from starfill.text.document import Document
from starfill.text.position import Edit


def read(marked: str, language: str) -> tuple[Document, tuple[Edit, ...]]:
    text, edits, at = "", [], 0
    for match in re.finditer(r"«(.*?)¦(.*?)»", marked, re.DOTALL):
        text += marked[at : match.start()]
        edits.append(Edit(len(text), len(text) + len(match[1]), match[2]))
        text += match[1]
        at = match.end()
    return Document.open("file:///a", language, 1, text + marked[at:]), tuple(edits)


JS = "function f() {\n  «return 1;¦%s»\n}\n"
BROKEN_JS = "const x = (;\n\n" + JS


@pytest.mark.parametrize(
    ("language", "marked", "expected"),
    [
        ("python", "def f():\n    «return 1¦return 2»\n", True),
        ("python", "def f():\n    «return 1¦return (»\n", False),
        ("python", "def f():\n«    return 1¦return 1»\n", False),
        ("python", "x = 1\n«¦  y = 2»", False),
        ("python", "«a¦b»\nc\n«d¦(e»\n", False),
        ("python", "«a¦(b»\nc\n«d¦)»\n", False),
        ("python", "«a¦(b»,\nc\n«¦)»\n", True),
        ("python", "x = '''\n«a¦'''»\n'''\n", False),
        ("python", "x = (\n\n\ndef f():\n    «return 1¦return 2»\n", True),  # an error elsewhere
        ("python", "x = (\n\n\ndef f():\n    «return 1¦return )»\n", False),
        ("python", "class A:\n    x = (\n\n    def f():\n        «a¦for b in c:»\n", False),
        ("python", "x = (\n\n\ndef f():\n    «a¦(»\n\n    def g():\n        «b¦c»\n", False),
        ("python", "def f():\n    «return (¦return 1»\n", True),  # the error is gone
        ("python", "x = = 1\ndef f():\n    «return (¦return 1»\n", True),
        ("python", "x = = 1\ndef f():\n    «return (¦return [»\n", None),
        ("python", "def f():\n    «print 1¦print 2»\n    exec 'a'\n", True),  # Python 2, which tree-sitter reads
        ("python", "def f():\n    print 1\n«    exec 'a'¦   exec (»\n", False),
        ("python", "x = 1\n", True),  # no edits
        ("python", "«x = 1¦'\\d'»\n", True),  # a warning at most
        ("javascript", JS % "return 2;", True),
        ("javascript", JS % "return (;", False),
        ("javascript", JS % "return 2; }", False),
        ("javascript", BROKEN_JS % "return 2;", True),
        ("javascript", BROKEN_JS % "return (;", False),
        ("javascript", "const x = («;¦1;»\n", None),
        ("javascript", "const x = («;¦1);»\n", True),
        ("javascriptreact", "const a = <b>«c¦{d}»</b>;\n", True),
        ("javascriptreact", "const a = <b>«c¦{d»</b>;\n", False),
        ("typescript", "let a«¦: string» = 1;\n", True),
        ("typescript", "let a«¦: » = 1;\n", False),
        ("typescriptreact", "let a = <b c={«1¦2 as number»} />;\n", True),
        ("java", "class A { «int x;¦int x» }\n", False),
        ("c", "int f() { «return 1;¦return 2;» }\n", True),
        ("c", "int f() { «return 1;¦return 2» }\n", False),
        ("cpp", "class A { «int x;¦auto f() -> int { return 1; }» };\n", True),
        ("csharp", "class A { «int x;¦int x => » }\n", False),
        ("go", "package p\n\nfunc f() {\n\t«return¦return }»\n}\n", False),
        ("rust", "fn f() -> i32 { «1¦2» }\n", True),
        ("rust", "fn f() -> i32 { «1¦(» }\n", False),
        ("ruby", "def f\n  «1¦if x»\nend\n", False),
        ("php", "<?php\nfunction f() { «return 1;¦return (;» }\n", False),
        ("shellscript", "f() {\n  «a¦if a; then b; fi»\n}\n", True),
        ("shellscript", "f() {\n  «a¦if a; then b»\n}\n", False),
        ("lua", "function f()\n  «return 1¦if x then»\nend\n", False),
        ("elm", "f x =\n  «x¦(»\n", None),
    ],
)
def test_parses(language: str, marked: str, expected: bool | None) -> None:
    document, edits = read(marked, language)
    assert parses(document, edits) is expected


WILD = st.lists(
    st.sampled_from(
        [
            "def f():\n",
            "    return 1\n",
            "(",
            ")",
            "{",
            "}",
            "'",
            '"""',
            "\x00",
            "\ud83d",
            "\\",
            "\r",
            "\x0c",
            "é",
            "1",
            "if x:\n",
        ]
    )
).map("".join)


@settings(max_examples=200, deadline=None)
@given(WILD, WILD, st.sampled_from(sorted(LANGUAGES)))
def test_nothing_is_too_wild(old: str, new: str, language: str) -> None:
    document = Document.open("file:///a", language, 1, old)
    edits = line_edits(document.text, new)
    assert parses(document, edits) in (True, False, None)
    assert parses(document, ()) is True


@pytest.mark.parametrize(
    "code",
    [
        "(" * 5_000,
        "-" * 100_000 + "1",
        "[" * 90 + "]" * 90,
        "a" + ".b" * 20_000,
        "not " * 5_000 + "x",
        "a = " * 3_000 + "1",
    ],
    ids=["open", "minus", "balanced", "dots", "not", "assigned"],
)
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_deep_nesting(code: str, language: str) -> None:
    document = Document.open("file:///a", language, 1, "x = 1\ny = 2\n")
    parses(document, (Edit(0, 5, code),))
    parses(Document.open("file:///a", language, 1, code), (Edit(0, 1, "x"),))


def test_a_long_file() -> None:
    methods = '    def method(self, value):\n        """Doc."""\n        return [value, self.other(value)]\n\n' * 2_500
    for text in (f"class A:\n{methods}", f"class A:\n{methods})"):
        document = Document.open("file:///a", "python", 1, text)
        started = time.process_time()
        assert parses(document, (Edit(17, 23, "other"),)) is True
        assert time.process_time() - started < 3
