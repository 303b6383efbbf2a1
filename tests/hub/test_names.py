"""What a model's name means: a path, or a repository that was pulled already; nothing is downloaded by surprise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub.conftest import Files
from hub.server import FakeHub, commit_of
from starfill.checkpoint.hub import Repository, pulled, resolve, shown
from starfill.cli.main import main
from starfill.errors import NotPulledError

NAME = "owner/coder-GPTQ"
WEIGHTS = "gptq_model-4bit-32g.safetensors"
NAMES: list[tuple[str, Repository | None]] = [
    ("owner/name", Repository("owner/name", "main")),
    ("owner/name:main", Repository("owner/name", "main")),
    ("TheBloke/CodeLlama-70B-Instruct-GPTQ:gptq-4bit-32g-actorder_True", None),
    ("owner/name.v1:refs/pr/1", Repository("owner/name.v1", "refs/pr/1")),
    ("a/b", Repository("a/b")),
    ("bundled", None),
    ("gpt2", None),
    ("/models/coder", None),
    ("./models/coder", None),
    ("../models/coder", None),
    ("~/models/coder", None),
    ("models/coder/", None),
    ("a/b/c", None),
    ("C:/models", None),
    ("C:/models/coder", None),
    ("c:models/coder", None),
    ("C:\\models\\coder", None),
    ("D:\\models/coder", None),
    ("\\\\server/share", None),
    ("owner/name:", None),
    ("owner/name:../../secret", None),
    ("owner/..", None),
    ("a--b/name", None),
    ("owner/name:8bit--1g", Repository("owner/name", "8bit--1g")),
    ("owner/na me", None),
    ("", None),
]
NAMES[2] = (NAMES[2][0], Repository(*NAMES[2][0].split(":")))


@pytest.mark.parametrize("text,repository", NAMES)
def test_names(text: str, repository: Repository | None) -> None:
    assert Repository.parse(text) == repository
    if repository is not None:
        assert Repository.parse(str(repository)) == repository


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_a_folder_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name in ("owner/name", str(tmp_path), str(tmp_path / "missing"), "C:\\models\\coder"):
        assert resolve(name) == Path(name)
    assert shown("owner/name") == "name"


def test_what_was_not_pulled_names_the_command(hub: FakeHub, cache: Path) -> None:
    hub.add(NAME, {})
    with pytest.raises(NotPulledError, match=f"run `starfill models pull {NAME}:dev`") as caught:
        resolve(f"{NAME}:dev")
    assert caught.value.repository == f"{NAME}:dev"
    assert hub.requests == []


def test_what_was_pulled_is_found(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    hub.add(NAME, checkpoint | {"merges.txt": b""}, "dev")
    for name in (NAME, f"{NAME}:dev", f"{NAME}:{commit_of(checkpoint)}"):
        assert run("models", "pull", name).stdout.strip() == str(resolve(name))
        assert shown(name) == name
    assert (resolve(f"{NAME}:dev") / "merges.txt").exists()
    assert not (resolve(NAME) / "merges.txt").exists()
    with pytest.raises(NotPulledError):
        resolve(f"{NAME}:other")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", WEIGHTS])
def test_a_part_is_not_enough(hub: FakeHub, cache: Path, checkpoint: Files, name: str) -> None:
    hub.add(NAME, checkpoint)
    run("models", "pull", NAME)
    (link,) = cache.glob(f"*/snapshots/*/{name}")
    link.resolve().unlink()
    with pytest.raises(NotPulledError, match=f"incomplete.*`starfill models pull {NAME}` again"):
        resolve(NAME)
    assert [each.lacking is None for each in pulled()] == [False]


def test_a_lost_shard_is_noticed(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    shards = {f"model-0000{i}-of-00003.safetensors": b"%d" % i for i in (1, 2, 3)}
    hub.add(NAME, shards | {"config.json": b"{}", "tokenizer.json": b"{}"})
    run("models", "pull", NAME)
    next(cache.glob("*/snapshots/*/model-00002*")).unlink()
    with pytest.raises(NotPulledError, match=r"model-00002-of-00003\.safetensors is missing"):
        resolve(NAME)


def test_the_list(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    hub.add(NAME, checkpoint | {"merges.txt": b"x" * 1000}, "dev")
    for name in (NAME, f"{NAME}:dev"):
        run("models", "pull", name)
    hub.requests.clear()
    listed = json.loads(run("models", "list", "--json").stdout)
    size = sum(map(len, checkpoint.values()))
    assert [(each["model"], each["complete"]) for each in listed] == [
        ("bundled", True),
        (f"{NAME}:dev", True),
        (NAME, True),
    ]
    assert [each["bytes"] for each in listed[1:]] == [size + 1000, size]
    assert listed[2]["path"] == str(resolve(NAME))
    shown = run("models", "list").stdout.splitlines()
    assert len(shown) == 3
    assert all(word in shown[2] for word in (NAME, "MB", "complete", str(resolve(NAME))))
    assert hub.requests == []


def test_the_list_of_an_empty_cache(cache: Path) -> None:
    assert run("models", "list").stdout.startswith("bundled ")


def test_removing_keeps_what_another_branch_shares(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    hub.add(NAME, checkpoint | {"merges.txt": b"x" * 1_000_000}, "dev")
    for name in (NAME, f"{NAME}:dev"):
        run("models", "pull", name)
    assert run("models", "remove", f"{NAME}:dev").stdout.startswith("1.0 MB freed")
    assert [str(each.repository) for each in pulled() if each.lacking is None] == [NAME]
    run("models", "remove", NAME)
    assert pulled() == []
    result = run("models", "remove", NAME)
    assert (result.exit_code, "`starfill models list`" in result.stderr) == (2, True)


def test_a_checkpoint_is_inspected_by_name(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    run("models", "pull", NAME)
    assert "GPTQ 4-bit, group_size 32" in run("models", "inspect", NAME).stdout


def test_from_the_hub_to_a_completion(
    hub: FakeHub, environment: dict[str, str], checkpoint: Files, tmp_path: Path
) -> None:
    """The real command line, with nothing set but the variables of the hub library."""
    hub.add(NAME, checkpoint)
    code = tmp_path / "code.py"
    code.write_text("def add(a, b):\n    return ")

    def starfill(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "starfill", *args], env=environment, capture_output=True, text=True
        )

    complete = ("complete", f"{code}:2:12", "--model", NAME)
    refused = starfill(*complete)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert f"run `starfill models pull {NAME}` to download it" in refused.stderr
    assert hub.requests == []
    done = starfill("models", "pull", NAME)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "home" / "hub")
    asked = len(hub.requests)
    completed = starfill(*complete)
    assert completed.returncode in (0, 1), completed.stderr  # a random model may have nothing to say
    assert "Traceback" not in completed.stderr and "pull" not in completed.stderr
    assert len(hub.requests) == asked
