"""What an action is about: « » is the target of every ^ in the text; each ^ stands for a cursor of its own."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starfill.assist.instruct.target import target
from starfill.code.languages import LANGUAGES, fence_name
from starfill.text.document import Document
from starfill.text.position import Span


def read(marked: str) -> tuple[str, list[int], Span | None]:
    """The text, its cursors, and what is between « and »."""
    text, cursors, ends = "", [], []
    for char in marked:
        if char == "^":
            cursors.append(len(text))
        elif char in "«»":
            ends.append(len(text))
        else:
            text += char
    return text, cursors, Span(*ends) if ends else None


AROUND = {
    "python": [
        "import a\n\n\n«^d^ef f(x):^\n ^   ret^urn x^»\n\n\nx = 1\n",
        "«def f():\n^\n    ^x = 1\n   ^\n    return x^»\n",
        "def f():\n    return 1\n^\n^\ndef g():\n    pass\n^",
        "^import a\nx = ^1\n\ndef f():\n    pass\n",
        "«@cache^\n^@other(\n    1,^\n)\ndef f():\n    pa^ss»\n",
        "class A:\n    x\n\n«    @property^\n^   ^ def f(self):^\n        return [\n            ^1]»\n\n    y = 2\n",
        "«class A^:\n    x = ^1\n^\n    def f(self):\n        pass\n^\n    y = 2^»\n",
        "«@dataclass^\nclass A:\n    x: ^int»\n",
        "def f():\n    a = 1\n\n«    def g():^\n        b^»\n\n    return g\n",
        "«def f():\n    a = lambda x: ^x\n    return [y for y in^ a]»\n",
        "«async def f():\n    async with ^a:\n        pass»\n",
        "«# What f does.^\n# More of it.\ndef f():\n    ^pass»\n",
        "class A:\n«    # What f does.^\n    @cache^\n    def f():\n        ^pass»\n\n    x = 1\n",
        "x = 1  # about x\n«def f():\n    ^pass»\n",
        "# about the file\n\n«def f():\n    ^pass»\n",
        "«def f():\n    x = '''\na^\n'''\n    return ^x»\n",
        "if a:\n«    def f():\n        ^return 1»\nelse:\n    def f():\n        return 2\n",
        "x = (\n\n«def f():\n    return ^1»\n\n\ndef g():\n    pass\n",  # errors elsewhere
        "«def f():\n    return ^1»\n\n\ndef g(:\n    x = = 1\n",
        "«def f(x):\n    y = (x +^\n    return ^y»\n\n\ndef g():\n    pass\n",  # and inside
        "«def f(x):\n    if x\n        return ^1»\n\n\ndef g():\n    pass\n",
        "^",
        "\n^\n",
        "«def f(): ^pass»",
    ],
    "javascript": [
        "import a;\n«function ^f() {\n  ^a();\n}^»\n\nx();\n",
        "«export ^default async function f() {\n  a^();\n}»\n",
        "«export class ^A {\n^\n  f() {\n  }\n}»\n",
        "class A {\n«  static async f^() {\n    ^a();\n  }^»\n\n  g() {}\n}\n",
        "class A {\n«  f = ^() => {\n    ^a();\n  };^»\n}\n",
        "«const ^f = async (a) => {\n  a^();\n};^»\n",
        "«const f =\n  (a) => {\n  a^();\n};»\n",
        "«export const f = (a) => ^a + 1;»\nb();\n",
        "«module.exports.f = function () {\n  a^();\n};^»\n",
        "const o = {\n«  f: function ^() {\n    ^a();\n  },»\n  b: 1,\n};\n",
        "«function f() {\n  return {\n    a: () => ^1,\n  };\n}»\n",
        "const o = {\n«  f(^) {\n    ^a();\n  },»\n};\n",
        "«function f() {\n  return a.map((x) => ^x + 1).filter((x) => {\n    return ^x;\n  });\n}»\n",
        'describe("a", () => {\n«  it("b", () => {\n    ^a();\n  });^»\n\n  c();\n});\n',
        '«describe("a", () => {\n  it("b", () => {\n    a();\n  });\n^\n  ^c();\n});^»\n',
        "«function f() {\n  setTimeout(function () {\n    ^a();\n  }, 100);\n}»\n",
        "«/**\n * ^What f does.\n */\nfunction f() {\n  a^();\n}»\n",
        "«/** What f does. */^\nexport function f() {\n  a^();\n}»\n",
        "a(); // what a does\n«function f() {\n  ^a();\n}»\n",
        "const x = ^1;\n",
        "^\nfunction f() {\n}\n^\n// about a\n^a();\n^",
        "«function f() {\n  ^a();\n}»\n}}} const (\n",
        "«function f(x {\n  const y = (^1;\n}»\n\nfunction g() {\n}\n",
    ],
    "javascriptreact": ["«const A = () => {\n  return <B onClick={() => ^b()}>^</B>;\n};»\n"],
    "typescript": [
        "«export interface A {\n  a: ^number;\n}^»\n",
        "«type A = {\n  a: ^number;\n};»\n",
        "«enum A {\n  B^,\n}»\n",
        "«@Component({\n  a: ^1,\n})\nexport class A {\n  ^x = 1;\n}»\n",
        "class A {\n  x = 1;\n\n«  @Input()^\n  private f(a: string): void {\n    ^a();\n  }»\n}\n",
        "class A {\n«  private f = ^() => {\n  };»\n}\n",
        "namespace N {\n«  function f() {\n    ^a();\n  }»\n}\n",
        "«abstract class A {\n  abstract f(): ^void;\n}»\n",
    ],
    "typescriptreact": ["«export const A = ({ a }: Props) => {\n  return <B>^{a}</B>;\n};»\n"],
    "java": [
        "package p;\n\n«@Entity^\npublic class A {\n  int ^x;\n\n  void f() {\n  }\n}^»\n",
        "class A {\n«  /** What f does.^ */\n  @Override^\n  public int f() {\n    return ^1;\n  }^»\n\n  A() {}\n}\n",
        "class A {\n«  A() {\n    x = ^1;\n  }»\n}\n",
        "«interface A {\n  void f^();\n}»\n".replace("void f^();", "int X = ^1;"),
        "«record A(int ^a) {\n}»\n",
    ],
    "c": [
        "#include <a.h>\n\n«static int\nf(int a)\n{\n  return ^a;\n}^»\n\nint x;\n",
        "«struct a {\n  int ^x;\n};^»\n",
        "«typedef struct {\n  int ^x;\n} a;^»\n",
        "struct a *^x;\n",
        "«// What f does.^\n// More.\nvoid f() { ^}»\n",
    ],
    "cpp": [
        "«template <class T>^\nclass A {\npublic:\n  ^int x;\n  void f() {\n  }\n};^»\n",
        "class A {\n«  template <class T>^\n  void f() {\n    ^x;\n  }»\n};\n",
        "namespace n {\n«void A::f() {\n  auto g = [&] { ^x; };\n}»\n}\n",
    ],
    "csharp": [
        "namespace N\n{\n«    [Serializable]^\n    public class A\n    {\n        int ^x;\n    }»\n}\n",
        "class A {\n«  [Test]^\n  public void F() {\n    ^x();\n  }»\n  int y;\n}\n",
        "class A {\n«  public int P {\n    get { return ^1; }\n  }»\n}\n",
    ],
    "go": [
        "package p\n\n«// F does.^\nfunc F() {\n\tg(func() {\n\t\t^x()\n\t})\n}^»\n\nvar y = 1\n",
        "«func (r *R) M() error {\n\treturn ^nil\n}»\n",
        "«type R struct {\n\tA ^int\n}»\n",
    ],
    "rust": [
        "use a;\n\n«/// What A is.^\n#[derive(Debug)]^\npub struct A {\n    ^x: i32,\n}^»\n",
        "impl A {\n«    #[inline]^\n    pub fn f(&self) -> i32 {\n        ^1\n    }»\n\n    fn g() {}\n}\n",
        "«impl A {\n^\n    fn g() {}\n}»\n",
        "mod tests {\n    use a;\n\n«    #[test]\n    fn f() {\n        ^x();\n    }»\n}\n",
    ],
    "ruby": [
        "module M\n  class A\n«    # What f does.^\n    def f(a)\n      ^a\n    end^»\n\n    def g; end\n  end\nend\n",
        "module M\n«  class A\n    attr_reader ^:a\n\n    def f\n    end\n  end»\nend\n",
        'describe "a" do\n«  it "b" do\n    ^c\n  end»\nend\n',
        "class A\n«  private def f\n    ^a\n  end»\nend\n",
    ],
    "php": [
        "<?php\n\n«/** What f does.^ */\nfunction f($a) {\n    return ^$a;\n}^»\n\n$x = 1;\n",
        "<?php\nclass A {\n«    #[Pure]^\n    public function f() {\n        ^x();\n    }»\n\n    public $y;\n}\n",
    ],
    "shellscript": ["set -e\n\n«f() {\n  ^a\n}^»\n\nf\n", "«function f {\n  ^a\n}»\n"],
    "lua": [
        "«local function f()\n  ^a()\nend^»\n\nf()\n",
        "«function M.f(x)\n  return x.map(function(y) return ^y end)\nend»\n",
        "«M.f = function()\n  ^a()\nend»\n",
        "«local f = function()\n  ^a()\nend»\n",
    ],
    "elm": ["f x =\n  ^x\n"],
}


@pytest.mark.parametrize(("language", "marked"), [(language, each) for language in AROUND for each in AROUND[language]])
@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
def test_around_the_cursor(language: str, marked: str, eol: str) -> None:
    text, cursors, expected = read(marked.replace("\n", eol))
    document = Document.open("file:///a", language, 1, text)
    assert cursors
    for cursor in cursors:
        found = target(document, Span(cursor, cursor))
        assert found == expected, (text[:cursor] + "^" + text[cursor:], found and text[found.start : found.end])


def test_every_language_is_tried() -> None:
    assert set(LANGUAGES) < set(AROUND)
    assert [fence_name(each) for each in ("python", "shellscript", "typescriptreact", "elm")] == [
        *("python", "bash", "tsx", "elm"),
    ]


@pytest.mark.parametrize(
    "marked",
    [  # ^ to ^ is selected
        "a\n«b^b^b»\nc\n",
        "a\n«^bb^»\nc\n",
        "a\n«^bb\n^»c\n".replace("\n^»", "»\n^"),
        "a\n«  b^b\ncc^c»\nd",
        "a^\n«bb»^\nc",
        "a^\n\n   \n«  bb\n\ncc»\n  \n^\nd",
        "a\n^  \n\t\n^b",
        "a ^ ^ b",
        "«^a\fb\u2028c^»\r\nd",
        "a\r«^b»\r^c",
    ],
)
@pytest.mark.parametrize("language", ["python", "elm"])
def test_selected(marked: str, language: str) -> None:
    text, (start, end), expected = read(marked)
    assert target(Document.open("file:///a", language, 1, text), Span(start, end)) == expected


def test_characters_outside_of_ascii() -> None:
    text, (cursor,), expected = read("é = '😀\u2028'\n\n«def f():\n    '漢\ud83d' ^+ x»\n\n")
    assert target(Document.open("file:///a", "python", 1, text), Span(cursor, cursor)) == expected


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*"abd:(){}\"'`\n\r\t #@;=", "def ", "class ", "\x00", "\ud83d", "é", "😀"])).map("".join),
    st.data(),
)
def test_nothing_is_too_wild(text: str, data: st.DataObject) -> None:
    document = Document.open("file:///a", data.draw(st.sampled_from(sorted(LANGUAGES))), 1, text)
    cursor = data.draw(st.integers(0, len(document)))
    found = target(document, Span(cursor, cursor))
    if found is not None:
        first, last = document.line_of(found.start), document.line_of(found.end)
        assert first <= document.line_of(cursor) <= last
        assert found == Span(document.line_start(first), document.line_end(last))


def test_grammars_are_imported_when_they_are_needed() -> None:
    rooms = "starfill.assist.instruct.target, starfill.code.syntax"
    code = f"import sys, {rooms}; sys.exit('tree_sitter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("opening", ["(", "[", "{", "if x:\n", "def f():\n"])
def test_deep_nesting(opening: str) -> None:
    text = "".join(" " * depth * opening.endswith("\n") + opening for depth in range(1500))
    target(Document.open("file:///a", "python", 1, text), Span(len(text), len(text)))


def test_a_long_file() -> None:
    function = '    def method(self, value):\n        """Doc."""\n        return [value, self.other(value)]\n\n'
    document = Document.open("file:///a", "python", 1, "class A:\n" + function * 2_500)
    target(document, Span(0, 0))
    started = time.process_time()
    found = target(document, Span(len(document) // 2, len(document) // 2))
    assert time.process_time() - started < 0.5
    assert found is not None
    assert document.slice(found.start, found.end) == function.rstrip()
