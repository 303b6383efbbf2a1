"""What is read and written: benchmarks, instructions, source files, and outputs that a second run goes on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.made_up import ADD, GAP, lines, write
from starfill.errors import RequestError
from starfill.evaluation.cursors import SourceFile, random_cursors, read_sources
from starfill.evaluation.instructions import read_instructions
from starfill.evaluation.jsonl import Output, read
from starfill.evaluation.problems import read_problems, with_suffix


def test_plain_and_compressed_files(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.jsonl.gz"):
        path = write(tmp_path / name, ADD, GAP)
        assert [place for place, _ in read(path)] == [f"{path}:1", f"{path}:2"]
        assert [problem.task_id for problem in read_problems(path)] == ["Made/0", "Gap/0/L1"]


@pytest.mark.parametrize(
    "content,words",
    [
        (b'{"a": 1}\n\n[1]\n', [":3 is not a JSON object"]),
        (b'{"a": 1}\n{"a"\n', [":2 is not a JSON object"]),
        (b"\xff\xfe\n", ["is not UTF-8"]),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(RequestError) as error:
        list(read(path))
    assert all(word in str(error.value) for word in [str(path), *words])


def test_unreadable_files(tmp_path: Path) -> None:
    torn = write(tmp_path / "a.jsonl.gz", ADD)
    torn.write_bytes(torn.read_bytes()[:-10])
    no_gzip = tmp_path / "b.jsonl.gz"
    no_gzip.write_text("{}")
    for path, word in ((torn, "cut off"), (no_gzip, "can't be read"), (tmp_path / "none.jsonl", "can't be read")):
        with pytest.raises(RequestError, match=word):
            list(read(path))


@pytest.mark.parametrize(
    "change,words",
    [
        ({"test": None}, [":1", '"test" must be text']),
        ({"entry_point": "a b"}, [":1", '"entry_point"', "'a b'"]),
        ({"task_id": "Gap/0/L1"}, [":2", "Gap/0/L1", "twice"]),
    ],
)
def test_a_wrong_problem_is_named(tmp_path: Path, change: dict[str, str], words: list[str]) -> None:
    with pytest.raises(RequestError) as error:
        read_problems(write(tmp_path / "p.jsonl", {**ADD, **change}, GAP))
    assert all(word in str(error.value) for word in words), error.value


def test_a_missing_field_and_no_problems(tmp_path: Path) -> None:
    short = {name: value for name, value in ADD.items() if name != "prompt"}
    with pytest.raises(RequestError, match=':1: "prompt" is missing'):
        read_problems(write(tmp_path / "p.jsonl", short))
    with pytest.raises(RequestError, match="no problems"):
        read_problems(write(tmp_path / "empty.jsonl"))
    with pytest.raises(RequestError, match="eval humaneval"):
        with_suffix(read_problems(write(tmp_path / "q.jsonl", GAP, ADD)), tmp_path / "q.jsonl")


def test_instructions(tmp_path: Path) -> None:
    path = write(
        tmp_path / "in.jsonl",
        {"idx": 11, "Instruction": "Count."},
        {"idx": "a", "instruction": "Explain.", "input": "x = 1"},
        {"Instruction": "Third.", "input": ""},
    )
    found = [(each.idx, each.text, each.given) for each in read_instructions(path)]
    assert found == [(11, "Count.", ""), ("a", "Explain.", "x = 1"), (2, "Third.", "")]


@pytest.mark.parametrize(
    "record,words",
    [
        ({"idx": 1}, [":2", '"instruction" is missing']),
        ({"idx": 11, "Instruction": "Again."}, [":2", "11", ":1 already"]),
        ({"idx": None, "Instruction": "What?"}, [":2", '"idx" must be']),
        ({"idx": 2, "Instruction": ["a"]}, [":2", '"Instruction" must be text']),
    ],
)
def test_a_wrong_instruction_is_named(tmp_path: Path, record: dict[str, object], words: list[str]) -> None:
    with pytest.raises(RequestError) as error:
        read_instructions(write(tmp_path / "in.jsonl", {"idx": 11, "Instruction": "Count."}, record))
    assert all(word in str(error.value) for word in words), error.value


def test_an_output_goes_on_and_drops_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with Output(path) as output:
        assert output.done == []
        output.write({"n": 1, "text": "ä\n\ud800"})
        output.write({"n": 2})
    with path.open("ab") as file:
        file.write(b'{"n": 3, "te')
    with Output(path) as output:
        assert [record["n"] for record in output.done] == [1, 2]
        output.write({"n": 3})
    assert [record["n"] for record in lines(path)] == [1, 2, 3]


def test_an_output_that_is_something_else_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\nand more")
    with pytest.raises(RequestError, match=r"notes.txt:1 is not a JSON object"):
        Output(path)
    assert path.read_text() == "my notes\nand more"
    with pytest.raises(RequestError, match="can't be written"):
        Output(tmp_path)


def test_sources_of_a_folder_and_of_lines(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.py").write_text("b = 1\n")
    (tmp_path / "a.rs").write_text("fn main() {}\n")
    (tmp_path / "c.bin").write_text("no source")
    (tmp_path / "latin.py").write_bytes("é = 1".encode("latin-1"))
    assert read_sources(tmp_path) == [SourceFile("a.rs", "fn main() {}\n"), SourceFile("sub/b.py", "b = 1\n")]
    file = write(tmp_path / "s.jsonl", {"path": "x.py", "text": "a\r\nb"}, {"path": "y.py", "content": "c"})
    assert read_sources(file) == [SourceFile("x.py", "a\nb"), SourceFile("y.py", "c")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="no source files"):
        read_sources(tmp_path / "empty")
    with pytest.raises(RequestError, match=':1: "content" is missing'):
        read_sources(write(tmp_path / "t.jsonl", {"path": "x.py"}))


def test_cursors_stand_in_lines_with_something_left(tmp_path: Path) -> None:
    sources = [SourceFile("a.py", "def f(x):\n\n    return x  \n\n"), SourceFile("b.py", "\n\n  y = 1")]
    cursors = random_cursors(sources, 500, seed=1)
    assert len({cursor.place for cursor in cursors}) == len(cursors)
    texts = {source.path: source.text for source in sources}
    for cursor in cursors:
        assert cursor.before + cursor.line + cursor.after == texts[cursor.path]
        assert cursor.line.strip() and "\n" not in cursor.line
        assert cursor.after[:1] in ("", "\n")
    # Every column from a line's first character to its last: 9, 8 and 5 of them. Not the indentation.
    assert sorted(cursor.place for cursor in cursors) == sorted(
        [f"a.py:1:{n}" for n in range(1, 10)] + [f"a.py:3:{n}" for n in range(5, 13)]
        + [f"b.py:3:{n}" for n in range(3, 8)]
    )  # fmt: skip
    assert random_cursors(sources, 5, seed=1) == random_cursors(sources, 5, seed=1)
    assert random_cursors(sources, 5, seed=1) != random_cursors(sources, 5, seed=2)
    assert json.dumps([cursor.place for cursor in random_cursors([SourceFile("e.py", "\n\n")], 3, 0)]) == "[]"
