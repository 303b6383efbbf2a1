"""`starfill instruct` with the bundled model, and with an instructor that knows its answers where they matter."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assist.toy import ByHeart, ToyTokenizer
from starfill.assist.instruct.instructor import Instructor
from starfill.assist.prompts.detect import detect
from starfill.assist.prompts.family import Identity
from starfill.cli.main import main
from starfill.config.settings import Settings

CODE = "import os\n\n\ndef f(value):\n    x = value\n    return x\n\n\nprint(f(1))\n"
BETTER = "```python\ndef f(value):\n    return value\n```"
AFTER = "import os\n\n\ndef f(value):\n    return value\n\n\nprint(f(1))\n"
BROKEN = "```python\ndef f(value:\n    return value\n```"
TOKENIZER = ToyTokenizer()
DIALECT = detect(Identity("gpt_bigcode", TOKENIZER.special, None, "toy", declared="starfill"))


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["instruct", *map(str, args)])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.py"
    path.write_text(CODE)
    return path


Scripted = Callable[..., list[Settings]]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """scripted(answer) -> the settings of the models that get loaded from then on, each of which answers so."""

    def script(answer: str, before: Callable[[], object] = lambda: None) -> list[Settings]:
        loaded: list[Settings] = []

        def middle(job: object) -> str:
            before()
            return answer

        @contextmanager
        def instructing(settings: Settings) -> Iterator[Instructor]:
            loaded.append(settings)
            yield Instructor(ByHeart(TOKENIZER, middle), TOKENIZER, DIALECT, settings)

        monkeypatch.setattr("starfill.cli.instruct.instructing", instructing)
        return loaded

    return script


def test_the_bundled_model(file: Path) -> None:
    shown = run("explain", f"{file}:5")
    assert shown.exit_code == 0 and shown.stdout.strip() and "```" not in shown.stdout
    diff = run("types", f"{file}:4-6", "--diff")
    assert diff.exit_code in (0, 2), diff.output  # the model is small: it may have nothing to change
    assert file.read_text() == CODE
    assert (diff.stdout.startswith("--- a/a.py\n+++ b/a.py\n@@")) is (diff.exit_code == 0)


@pytest.mark.parametrize(
    ("args", "stdout"),
    [
        (["refactor", "{file}:5"], "def f(value):\n    return value\n"),
        (["refactor", "{file}:4-6"], "def f(value):\n    return value\n"),
        (["--ask", "Make it short.", "{file}:4-6"], "def f(value):\n    return value\n"),
        (["fix", "{file}:6", "--problem", "x is useless"], "def f(value):\n    return value\n"),
        (["tests", "{file}:6"], "def f(value):\n    return value\n"),
    ],
)
def test_prints_what_the_code_becomes(file: Path, scripted: Scripted, args: list[str], stdout: str) -> None:
    scripted(BETTER)
    result = run(*(arg.format(file=file) for arg in args))
    assert (result.stdout, result.stderr, result.exit_code) == (stdout, "", 0)
    assert file.read_text() == CODE


def test_apply(file: Path, scripted: Scripted) -> None:
    scripted(BETTER)
    file.chmod(0o751)
    link = file.with_name("link.py")
    link.symlink_to(file)
    result = run("refactor", f"{link}:5", "--apply")
    assert (result.output, result.exit_code) == ("", 0)
    assert file.read_text() == AFTER and link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o751
    assert sorted(path.name for path in file.parent.iterdir()) == ["a.py", "link.py"]


TEXTS = {
    "plain": CODE,
    "CRLF": CODE.replace("\n", "\r\n"),
    "mixed": CODE.replace("import os\n", "import os\r\n"),
    "BOM": "\ufeff" + CODE,
    "BOM on a changed line": "\ufeff" + CODE[CODE.index("def") : CODE.index("\n\n\nprint")],
    "no last line end": CODE[: CODE.index("\n\n\nprint")],
    "form feed": CODE.replace("\n\n\ndef", "\n\x0c\ndef"),
}


@pytest.mark.parametrize("name", ["a.py", "with space/ö.py"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_diff_is_what_apply_does(file: Path, scripted: Scripted, text: str, name: str) -> None:
    scripted(BETTER)
    path = file.with_name(name) if "/" not in name else file.parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())
    line = text[: text.index("return")].count("\n") + 1
    diff = run("refactor", f"{name}:{line}", "--diff")
    assert diff.exit_code == 0 and path.read_bytes() == text.encode()
    for tool in (["patch", "-p1", "--binary"], ["git", "apply"]):
        if shutil.which(tool[0]):
            path.write_bytes(text.encode())
            subprocess.run(tool, input=diff.stdout_bytes, check=True, capture_output=True, cwd=file.parent)
            patched = path.read_bytes()
            path.write_bytes(text.encode())
            assert run("refactor", f"{name}:{line}", "--apply").exit_code == 0
            assert path.read_bytes() == patched
    assert b"    return value" in path.read_bytes() and b"x = value" not in path.read_bytes()
    assert path.read_bytes().count(b"\r") == text.count("\r") - text.count("x = value\r")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf") is text.startswith("\ufeff")


def test_what_does_not_parse_is_not_applied(file: Path, scripted: Scripted) -> None:
    scripted(BROKEN)
    result = run("refactor", f"{file}:5", "--apply")
    assert result.exit_code == 2 and "does not parse" in result.stderr and file.read_text() == CODE
    result = run("refactor", f"{file}:5")
    assert result.exit_code == 0 and "does not parse" in result.stderr
    assert run("refactor", f"{file}:5", "--apply", "--force").exit_code == 0
    assert "def f(value:\n" in file.read_text()


def test_a_file_that_changed_meanwhile_is_left_alone(file: Path, scripted: Scripted) -> None:
    scripted(BETTER, before=lambda: file.write_text(CODE + "# new\n"))
    result = run("refactor", f"{file}:5", "--apply")
    assert result.exit_code == 2 and "has changed meanwhile" in result.stderr
    assert file.read_text() == CODE + "# new\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["explain"], ["ACTION FILE:FROM-TO"]),
        (["explain", "{file}:5", "more"], ["ACTION FILE:FROM-TO"]),
        (["explain", "--ask", "x", "{file}:5"], ["--ask TEXT FILE:FROM-TO"]),
        (["--ask", " ", "{file}:5"], ["--ask must not be empty"]),
        (["explian", "{file}:5"], ['no action "explian"', "explain, refactor, docstring", "--ask"]),
        (["types", "{folder}/a.lua:1"], ['"types" is not meant for lua']),
        (["explain", "{file}"], ["FILE:FROM-TO"]),
        (["explain", "{file}:0"], ["FILE:FROM-TO"]),
        (["explain", "{file}:99"], ["10 lines", "LINE"]),
        (["explain", "{file}:1-99"], ["10 lines", "TO"]),
        (["explain", "{file}:5-4"], ["smaller than FROM"]),
        (["explain", "{file}:2-3"], ["blank"]),
        (["explain", "/no/such.py:1"], ["can't be read"]),
        (["explain", "{file}:5", "--diff"], ["changes no file", "--diff"]),
        (["tests", "{file}:5", "--apply"], ["changes no file", "--apply"]),
        (["refactor", "{file}:5", "--apply", "--diff"], ["exclude each other"]),
        (["refactor", "{file}:5", "--force"], ["--force goes with --apply"]),
        (["refactor", "{file}:5", "--problem", "x"], ["--problem is for the action fix"]),
        (["refactor", "{file}:1"], ["line 1 is in no function"]),
        (["refactor", "{file}:5", "--device", "abacus"], ["starfill.device", "abacus"]),
        (["refactor", "{file}:5", "--settings", "{file}"], ["a.py is not JSON"]),
    ],
)
def test_refusals(file: Path, scripted: Scripted, args: list[str], words: list[str]) -> None:
    scripted(BETTER)
    (file.parent / "a.lua").write_text("x = 1\n")
    result = run(*(arg.format(file=file, folder=file.parent) for arg in args))
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr


def test_a_file_that_can_not_be_written(file: Path, scripted: Scripted) -> None:
    scripted(BETTER)
    file.parent.chmod(0o500)
    try:
        if os.access(file.parent, os.W_OK):
            pytest.skip("this user may write anywhere")
        result = run("refactor", f"{file}:5", "--apply")
        assert result.exit_code == 2 and "can't be written" in result.stderr
    finally:
        file.parent.chmod(0o700)


OWN = {"title": "Shorten", "instruction": "Shorten it.", "placement": "show"}


def test_settings_from_a_file(file: Path, scripted: Scripted) -> None:
    loaded = scripted(BETTER)
    settings = file.with_name("settings.json")
    settings.write_text(json.dumps({"starfill": {"instructions": [OWN], "instruct": {"model": "own"}, "model": "m"}}))
    assert run("Shorten", f"{file}:5", "--settings", settings).stdout == BETTER + "\n"
    assert run("Shorten", f"{file}:5", "--settings", settings, "--model", "other").exit_code == 0
    assert [(each.model, each.instruct_model) for each in loaded] == [("m", "own"), ("other", "")]
    settings.write_text(json.dumps({"instructions": [{"title": "x"}]}))
    assert 'instructions[0]" has no "instruction"' in run("explain", f"{file}:5", "--settings", settings).stderr
    settings.write_text("[]")
    assert "must hold an object" in run("explain", f"{file}:5", "--settings", settings).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_it_is_highlighted(file: Path) -> None:
    import pty

    main_end, other_end = pty.openpty()
    command = [sys.executable, "-m", "starfill", "instruct", "explain", f"{file}:5"]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(command, stdout=other_end, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(other_end)
        shown = b""
        while chunk := _read(main_end):
            shown += chunk
    os.close(main_end)
    assert process.returncode == 0
    assert b"\x1b[" in shown  # the text so far is drawn over and over
    plain = run("explain", f"{file}:5").stdout.split()
    assert all(word.encode() in shown for word in plain)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other end is closed
        return b""
