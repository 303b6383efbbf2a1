"""The commands over a serving engine instead of a model in their process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from lsp.client import Client
from remote.fake_engine import FakeEngine, Fault
from starfill.cli.main import main
from starfill.config.parse import parse

CODE = '''\
import json


def load(path):
    """Read the settings."""
    with open(path) as file:
        return json.
'''
ORIGIN = "https://engine.example.com"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is allowed is kept here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "starfill" / "engines.json"


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    engine = FakeEngine(model="starfill", answer=lambda prompt: "load(file)\n")
    yield engine
    engine.stop()


@pytest.fixture
def elsewhere(fake: FakeEngine) -> str:
    """Its address under a name that isn't this machine's own."""
    return fake.url.replace("127.0.0.1", "0.0.0.0")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "names.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    return result


def test_complete(fake: FakeEngine, file: Path) -> None:
    answer = json.loads(run("complete", "--engine-url", fake.url, "--json", f"{file}:7:21").stdout)
    assert answer["candidates"] == ["load(file)"]
    assert (answer["model"], answer["device"]) == ("starfill", fake.url)
    assert fake.asked[0].body["model"] == "starfill" and "return json" in str(fake.asked[0].prompt)


def test_the_options_of_an_engine(fake: FakeEngine, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_KEY", "secret")
    fake.key = "secret"
    fake.detokenize = lambda ids: ""
    options = ("--engine-kind", "vllm", "--engine-model", "starfill", "--engine-family", "qwen2.5-coder")
    run("complete", "--engine-url", fake.url, *options, "--engine-api-key-env", "ENGINE_KEY", f"{file}:7:21")
    assert fake.asked[0].headers["Authorization"] == "Bearer secret"
    assert "<|fim_prefix|>" in str(fake.asked[0].prompt)
    fake.key = ""
    refused = run("complete", "--engine-url", fake.url, "--engine-tokenizer", "bundled", f"{file}:7:21", code=2)
    assert "starfill.engine.tokenizer" in refused.stderr and refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://127.0.0.1", ["starfill.engine.url", "ftp://127.0.0.1"]),
        ("http://127.0.0.1:1", ["http://127.0.0.1:1", "can't be reached"]),
        (ORIGIN, [ORIGIN, f"starfill engine allow {ORIGIN}"]),
    ],
)
def test_an_engine_that_can_not_be_used_is_one_sentence(url: str, words: list[str], file: Path) -> None:
    for command in (["complete", f"{file}:7:21"], ["instruct", "explain", f"{file}:4"]):
        result = run(*command, "--engine-url", url, code=2)
        assert all(word in result.stderr for word in words), result.stderr
        assert result.stderr.count("\n") == 1 and result.stdout == ""


def test_an_engine_that_fails_is_one_sentence(fake: FakeEngine, file: Path) -> None:
    fake.always = Fault(500, body='{"error": "out of memory"}')
    result = run("complete", "--engine-url", fake.url, f"{file}:7:21", code=2)
    assert "out of memory" in result.stderr and result.stderr.count("\n") == 1


def test_instruct(fake: FakeEngine, file: Path) -> None:
    fake.answer = lambda prompt: "It reads the settings.\n"
    assert "It reads the settings." in run("instruct", "explain", f"{file}:4-7", "--engine-url", fake.url).stdout
    assert "def load(path)" in str(fake.asked[0].prompt)


def test_generate_and_evaluate(fake: FakeEngine, tmp_path: Path) -> None:
    """Nobody types beside them, yet what they ask is sent: nothing of it is computed ahead."""
    (tmp_path / "in.jsonl").write_text('{"idx": 1, "Instruction": "Read a file."}\n')
    out = tmp_path / "out.jsonl"
    run("generate", tmp_path / "in.jsonl", out, "--greedy", "--engine-url", fake.url)
    assert json.loads(out.read_text())["output"] == "load(file)"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("import os\nimport sys\n\n\ndef main():\n    return os.getcwd()\n" * 3)
    options = ("--limit", 2, "--layout", "psm", "--json", "--engine-url", fake.url)
    [row] = json.loads(run("eval", "fim-exact", tmp_path / "code", *options).stdout)["rows"]
    assert (row["row"], row["samples"]) == ("psm", 2)
    assert len(fake.asked) >= 3


def test_doctor(fake: FakeEngine) -> None:
    result = run("doctor", "--engine-url", fake.url)
    assert "FAIL" not in result.stdout
    assert f"starfill (vllm) at {fake.url}" in result.stdout and "fill-in-the-middle" in result.stdout
    assert "KiB" not in result.stdout  # of states that aren't here
    gone = run("doctor", "--engine-url", "http://127.0.0.1:1", code=1)
    assert "FAIL" in gone.stdout and "can't be reached" in gone.stdout


def test_serve_s_options_win_over_the_editor_s_settings(fake: FakeEngine) -> None:
    command = [sys.executable, "-m", "starfill", "serve", "--engine-url", fake.url]
    with Client.start(command, options={"engine": {"url": "http://127.0.0.1:1", "model": "starfill"}}) as client:
        status = client.wait_for_state("ready")
        assert (status["model"], status["device"]) == ("starfill", fake.url)
        for engine in ({"url": ""}, {"url": "http://127.0.0.1:1"}):
            client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": {"engine": engine}}})
        client.open("file:///a.py", CODE)
        assert client.inline("file:///a.py", 6, 20)[0]["insertText"] == "load(file)"
        assert client.last("file:///a.py")["device"] == fake.url


def test_serve_refuses_a_wrong_option_at_once() -> None:
    result = run("serve", "--engine-url", ORIGIN, "--engine-kind", "carrier pigeon", code=2)
    assert "carrier pigeon" in result.stderr and result.stderr.count("\n") == 1


def test_the_demo_hands_the_options_to_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    class Demo:
        settings: dict[str, str]

        def __init__(self, buffer: object, command: list[str], settings: dict[str, str]) -> None:
            Demo.settings = settings

        def run(self) -> None: ...

    streams = SimpleNamespace(stdin=Terminal(), stdout=Terminal(), stderr=Terminal(), executable=sys.executable)
    monkeypatch.setattr("starfill.cli.demo.sys", streams)
    monkeypatch.setattr("starfill.demo.app.Demo", Demo)
    run("demo", "--engine-url", ORIGIN, "--engine-kind", "vllm")
    assert Demo.settings.items() >= {"engine.url": ORIGIN, "engine.kind": "vllm", "engine.model": ""}.items()
    settings, problems = parse(Demo.settings)
    assert problems == [] and settings.engine_url == ORIGIN


# What is allowed


def test_allow_list_and_revoke(config: Path) -> None:
    assert "none" in run("engine", "list").stdout
    assert f"starfill engine revoke {ORIGIN}" in run("engine", "allow", f"{ORIGIN}/v1/").stdout
    run("engine", "allow", "http://10.0.0.1:8000")
    assert run("engine", "list").stdout.split() == ["http://10.0.0.1:8000", ORIGIN]
    assert config.stat().st_mode & 0o777 == 0o600
    assert f"{ORIGIN} is no longer allowed" in run("engine", "revoke", ORIGIN).stdout
    assert f"{ORIGIN} was not allowed" in run("engine", "revoke", ORIGIN).stdout
    assert run("engine", "list").stdout.split() == ["http://10.0.0.1:8000"]
    assert "nonsense" in run("engine", "allow", "nonsense", code=2).stderr


def test_what_can_not_be_kept_is_one_sentence(config: Path) -> None:
    config.parent.parent.mkdir(parents=True)
    config.parent.write_text("a file where a folder has to be")
    result = run("engine", "allow", ORIGIN, code=2)
    assert "can't be written" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"allowed": 3}', '{"allowed": [3]}'])
def test_a_file_that_can_not_be_read_allows_nothing(config: Path, content: str) -> None:
    config.parent.mkdir(parents=True)
    config.write_text(content)
    assert "none" in run("engine", "list").stdout


def test_what_is_allowed_is_not_asked_for(fake: FakeEngine, elsewhere: str, file: Path) -> None:
    refused = run("complete", "--engine-url", elsewhere, f"{file}:7:21", code=2)
    assert f"starfill engine allow {elsewhere}" in refused.stderr
    assert fake.connections == 0
    run("engine", "allow", elsewhere)
    assert run("complete", "--engine-url", elsewhere, f"{file}:7:21").stdout == "load(file)\n"
    run("engine", "revoke", elsewhere)
    asked = fake.connections
    run("complete", "--engine-url", elsewhere, f"{file}:7:21", code=2)
    assert fake.connections == asked


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 2), (b"\n", 2)])
def test_on_a_terminal_the_user_is_asked(fake: FakeEngine, elsewhere: str, file: Path, typed: bytes, code: int) -> None:
    import pty

    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "starfill", "complete", "--engine-url", elsewhere, f"{file}:7:21"]
    with subprocess.Popen(command, stdin=end, stderr=end, stdout=subprocess.PIPE) as process:
        os.close(end)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(terminal, 1000)
        assert fake.connections == 0
        os.write(terminal, typed)
        try:
            while more := os.read(terminal, 1000):
                seen += more
        except OSError:  # the other end is closed
            pass
        assert process.wait(60) == code
        assert process.stdout is not None
        assert process.stdout.read() == (b"load(file)\n" if code == 0 else b"")
    os.close(terminal)
    assert re.search(rb"is another machine.*Allow .* from now on", seen, re.DOTALL)
    assert ("starfill engine allow" in seen.decode()) == (code == 2)
    assert bool(fake.connections) == (code == 0) and (elsewhere in run("engine", "list").stdout) == (code == 0)
