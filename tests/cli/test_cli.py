"""The command line, as a user calls it; in this process where that is enough, for speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from starfill.cli.main import main

CODE = '''\
import json


def load(path):
    """Read the settings."""
    with open(path) as file:
        return json.
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "names.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_complete_prints_the_insertion(file: Path) -> None:
    result = run("complete", f"{file}:7:21")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()


def test_complete_as_json(file: Path) -> None:
    result = run("complete", "--json", "--candidates", 3, f"{file}:7:21")
    answer = json.loads(result.stdout)
    assert 1 <= len(answer["candidates"]) <= 3
    assert len(set(answer["candidates"])) == len(answer["candidates"])
    assert answer["promptTokens"] == answer["cachedTokens"] + answer["computedTokens"] > 0
    assert answer["generatedTokens"] > 0
    assert answer["reason"] is None
    assert {"layout", "prefillMs", "decodeMs"} <= set(answer)


@pytest.mark.parametrize("layout", ["anchored-psm", "psm", "spm"])
def test_complete_in_each_layout(file: Path, layout: str) -> None:
    assert json.loads(run("complete", "--json", "--layout", layout, f"{file}:7:21").stdout)["layout"] == layout


@pytest.mark.parametrize(
    "place,words",
    [
        ("{file}:99:1", ["8 lines", "LINE"]),
        ("{file}:7:99", ["20 characters", "at most 21"]),
        ("{file}:0:1", ["FILE:LINE:COL"]),
        ("{file}", ["FILE:LINE:COL"]),
        ("{file}:x:1", ["FILE:LINE:COL"]),
        ("/no/such/file.py:1:1", ["/no/such/file.py", "can't be read"]),
    ],
)
def test_a_bad_place_is_one_sentence(file: Path, place: str, words: list[str]) -> None:
    result = run("complete", place.format(file=file))
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes("café = 1\n".encode("latin-1"))
    result = run("complete", f"{tmp_path / 'latin.py'}:1:1")
    assert result.exit_code == 2
    assert "latin.py is not UTF-8 (byte 3 is wrong)" in result.stderr


@pytest.mark.parametrize(
    "options,words",
    [
        (["--layout", "sideways"], ["layout", "sideways"]),
        (["--candidates", "0"], ["candidates"]),
        (["--model", "/no/such/model"], ["/no/such/model", "not a folder"]),
        (["--device", "cuda"], ["cuda"]),
    ],
)
def test_a_bad_option_is_one_sentence(file: Path, options: list[str], words: list[str]) -> None:
    result = run("complete", *options, f"{file}:7:21")
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr


def test_doctor_says_that_all_is_well() -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    for word in ("Python", "torch", "native-int16", "<fim_middle>", "fill-in-the-middle", "KiB", "documents that fit"):
        assert word in result.stdout, word
    assert "FAIL" not in result.stdout


def test_doctor_as_json() -> None:
    answer = json.loads(run("doctor", "--json").stdout)
    assert answer["ok"] is True
    assert {"name", "ok", "detail"} == set(answer["checks"][0])


def test_doctor_fails_with_a_bad_model(tmp_path: Path) -> None:
    result = run("doctor", "--model", tmp_path)
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
    assert "config.json" in result.stdout


def test_inspect(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint(Layout(4, 32, desc_act=True))
    result = run("models", "inspect", folder)
    assert result.exit_code == 0
    for word in ("gpt_bigcode", "GPTQ 4-bit, group_size 32, desc_act", "2 layers of width 64", "native-int16"):
        assert word in result.stdout
    facts = json.loads(run("models", "inspect", "--json", folder).stdout)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    assert abs(facts["weightBytes"] - size) < 0.1 * size
    assert facts["kvBytesPerToken"] == 2 * 2 * 32 * 2  # keys and values, layers, head_dim, fp16


def test_inspect_of_the_bundled_model() -> None:
    assert "GPTQ 4-bit, group_size 128, desc_act" in run("models", "inspect", "bundled").stdout


def test_the_cache_is_shown_and_cleared(
    make_checkpoint: MakeCheckpoint, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run("complete", "--model", make_checkpoint(Layout(4, 32)), f"{file}:7:21")
    shown = run("models", "cache").stdout
    assert str(tmp_path / "cache") in shown
    assert shown.count("MB") == 2
    assert "freed" in run("models", "cache", "--clear").stdout
    assert run("models", "cache").stdout.count("MB") == 1


@pytest.mark.parametrize("address", ["0.0.0.0:4090", "192.168.1.5:80", "nonsense", "127.0.0.1:x", "example.org:80"])
def test_only_the_loopback_interface_is_served(address: str) -> None:
    result = run("serve", "--tcp", address)
    assert result.exit_code == 2
    assert address.rpartition(":")[0] in result.stderr


def test_help_and_initialize_need_no_torch() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from starfill.cli.main import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "import starfill.lsp.transport, starfill.app.backend\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'numpy', 'safetensors', 'huggingface_hub'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version() -> None:
    assert run("--version").stdout.startswith("starfill, version ")


def test_the_demo_names_the_extra_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    result = run("demo")
    assert result.exit_code == 2
    assert result.stderr == "starfill: demo needs Textual, which isn't installed here: pip install 'starfill[demo]'\n"
