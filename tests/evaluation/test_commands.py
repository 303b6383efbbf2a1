"""`starfill generate` and `starfill eval` from end to end, with the model that ships, on problems made up here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evaluation.made_up import ADD, GAP, LAST, TWICE, lines, write
from starfill.cli.main import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no sandbox on Windows")
GREEDY = ("--greedy", "--max-new-tokens", 12)


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def instructions(tmp_path: Path) -> Path:
    return write(
        tmp_path / "in.jsonl",
        {"idx": 11, "Instruction": "Write a Python code to count 1 to 10."},
        {"idx": 12, "instruction": "Explain.", "input": "x = 1"},
        {"idx": 13, "Instruction": "Write a function."},
    )


def test_generate_goes_on_where_it_was_torn(tmp_path: Path, instructions: Path) -> None:
    out, again = tmp_path / "out.jsonl", tmp_path / "again.jsonl"
    options = ("--samples", 3, "--temperature", 1, "--max-new-tokens", 8, "--seed", 5)
    run("generate", instructions, out, *options, "--batch", 3)
    records = lines(out)
    assert [(record["idx"], record["sample"]) for record in records] == [(i, n) for i in (11, 12, 13) for n in range(3)]
    assert set(records[0]) == {"idx", "sample", "instruction", "output", "cut_off"}
    assert records[3]["instruction"] == "Explain."
    assert len({record["output"] for record in records}) > 3
    whole = out.read_bytes()
    again.write_bytes(whole[: len(whole) // 2])  # torn somewhere in a line
    run("generate", instructions, again, *options, "--batch", 2)
    assert again.read_bytes() == whole  # neither the batch nor the interruption changes an answer


@pytest.mark.parametrize(
    "options,words",
    [
        (["--greedy", "--temperature", 1], ["--greedy", "--temperature"]),
        (["--samples", 2, "--greedy"], ["--samples", "--temperature"]),
        (["--samples", 2, "--temperature", 0], ["--samples", "--temperature"]),
        (["--model", "/no/such/model"], ["/no/such/model"]),
    ],
)
def test_generate_says_what_is_wrong(
    tmp_path: Path, instructions: Path, options: list[object], words: list[str]
) -> None:
    result = run("generate", instructions, tmp_path / "out.jsonl", *options, code=2)
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stderr.count("\n") == 1


def test_generate_names_a_bad_line(tmp_path: Path, instructions: Path) -> None:
    with instructions.open("a") as file:
        file.write(json.dumps({"idx": 14, "Instruction": "word " * 5000}) + "\n")
    result = run("generate", instructions, tmp_path / "out.jsonl", code=2)
    assert f"{instructions}:4: the prompt has " in result.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == b""  # seen before anything was generated
    assert f"{instructions} is the input" in run("generate", instructions, instructions, code=2).stderr


@pytest.mark.parametrize("form", ["instruction", "completion"])
def test_humaneval(tmp_path: Path, form: str) -> None:
    data, out = write(tmp_path / "data.jsonl.gz", ADD, TWICE), tmp_path / "samples.jsonl"
    options = (*GREEDY, "--prompt", form, "--out", out, "--json")
    result = run("eval", "humaneval", data, *options)
    assert "pass --run-code" in result.stderr
    assert result.stdout == ""
    first = out.read_bytes()
    result = run("eval", "humaneval", data, *options, "--run-code", "--results", tmp_path / "results.jsonl")
    assert out.read_bytes() == first
    [row] = json.loads(result.stdout)["rows"]
    assert (row["row"], row["problems"], row["samples"]) == ("HumanEval", 2, 2)
    assert 0 <= row["pass@1"] <= 1
    assert "no network" in result.stderr
    assert [record["task_id"] for record in lines(tmp_path / "results.jsonl")] == ["Made/0", "Made/1"]
    assert {"task_id", "sample", "completion", "answer", "cut_off"} == set(lines(out)[0])
    assert "def total(" in lines(out)[0]["completion"]


def test_infilling_in_all_layouts(tmp_path: Path) -> None:
    data, out = write(tmp_path / "data.jsonl", GAP, LAST), tmp_path / "samples.jsonl"
    result = run("eval", "infilling", data, "--layout", "all", "--out", out, "--run-code", "--json")
    rows = {row["row"]: row for row in json.loads(result.stdout)["rows"]}
    assert list(rows) == ["spm", "anchored-psm", "psm"]
    for row in rows.values():
        assert (row["problems"], row["samples"]) == (2, 2)
        assert {"pass@1", "exact match", "edit similarity"} <= set(row)
    assert all(record["completion"].count("\n") <= 1 for record in lines(out) if not record["completion"][:1].isspace())
    table = run("eval", "infilling", data, "--layout", "all", "--out", out, "--no-healing", "--limit", 1)
    assert "spm, not healed" in table.stdout and "exact match" in table.stdout
    assert "pass --run-code" in table.stderr
    unknown = run("eval", "infilling", data, "--layout", "sideways", code=2)
    assert "--layout sideways" in unknown.stderr and "anchored-psm" in unknown.stderr


def test_fim_exact(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "a.py").write_text("import os\nimport sys\n\n\ndef main():\n    return os.path.join(sys.argv)\n" * 3)
    out = tmp_path / "samples.jsonl"
    options = ("--limit", 6, "--layout", "spm", "--layout", "psm", "--out", out, "--json")
    rows = json.loads(run("eval", "fim-exact", folder, *options).stdout)["rows"]
    assert [(row["row"], row["samples"]) for row in rows] == [("spm", 6), ("psm", 6)]
    assert all(0 <= row["exact match"] <= row["edit similarity"] <= 1 for row in rows)
    assert all("\n" not in record["completion"] for record in lines(out))


def test_score(tmp_path: Path) -> None:
    data = write(tmp_path / "data.jsonl", ADD, TWICE)
    made = write(
        tmp_path / "samples.jsonl",
        {"task_id": "Made/0", "completion": f"Sure!\n```python\ndef total(numbers):\n{ADD['canonical_solution']}```"},
        {"task_id": "Made/0", "completion": "    return 0\n"},
        {"task_id": "Made/1", "completion": "    return math.sqrt(x / 2)\n"},
        {"task_id": "Made/1", "completion": "    while True: pass\n"},
    )
    options = ("--problems", data, "--run-code", "-k", "1,2,3", "--timeout", 1, "--workers", 2)
    [row] = json.loads(run("eval", "score", made, *options, "--json").stdout)["rows"]
    assert row == {"row": str(made), "problems": 2, "samples": 4, "pass@1": 0.5, "pass@2": 1.0}
    assert "pass --run-code" in run("eval", "score", made, "--problems", data, code=2).stderr
    assert "-k 1;2" in run("eval", "score", made, "--problems", data, "--run-code", "-k", "1;2", code=2).stderr
    write(made, {"task_id": "Made/0", "completion": ""}, {"task_id": "Made/9", "completion": ""})
    assert f"{made}:2: there is no problem" in run("eval", "score", made, *options, code=2).stderr
    write(made, {"task_id": "Made/0", "completion": ADD["canonical_solution"]})
    table = run("eval", "score", made, *options).stdout
    assert "pass@1" in table and "100.0 %" in table
    write(made)
    assert "has no samples" in run("eval", "score", made, *options, code=2).stderr
