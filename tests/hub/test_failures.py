"""What can go wrong with the hub: one sentence each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.conftest import Files
from hub.pulling import BESIDE, NAME, refused, run
from hub.server import TOKEN, FakeHub


def test_a_revision_that_is_not_there_lists_the_branches(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    for branch in ("main", "gptq-4bit-128g", "gptq-8bit"):
        hub.add(NAME, checkpoint, branch)
    sentence = refused("models", "pull", f"{NAME}:nonsense")
    assert "no revision 'nonsense': it has main, gptq-4bit-128g, gptq-8bit" in sentence


def test_a_repository_that_is_not_there(hub: FakeHub, cache: Path) -> None:
    sentence = refused("models", "pull", "nobody/nothing")
    assert "shows no repository nobody/nothing" in sentence
    assert "hf auth login" in sentence


def test_a_private_repository_needs_the_token(
    hub: FakeHub, cache: Path, checkpoint: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(NAME, checkpoint)
    hub.private.add(NAME)
    assert "HF_TOKEN" in refused("models", "pull", NAME)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert run("models", "pull", NAME).exit_code == 0


def test_a_gated_repository_names_its_page(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    hub.gated.add(NAME)
    sentence = refused("models", "pull", NAME)
    assert all(word in sentence for word in ("gated", f"{hub.endpoint}/{NAME}", "HF_TOKEN")), sentence
    (cache.parent / "token").write_text(TOKEN)
    assert run("models", "pull", NAME).exit_code == 0


@pytest.mark.parametrize("status,words", [(429, "wait"), (503, "failed to answer"), (403, "no access")])
def test_other_answers(hub: FakeHub, cache: Path, status: int, words: str) -> None:
    hub.status[f"/api/models/{NAME}/revision/main"] = status
    sentence = refused("models", "pull", NAME)
    assert words in sentence and str(status) in sentence


def test_no_network(use_hub: Callable[[str], None]) -> None:
    use_hub("http://127.0.0.1:9")
    sentence = refused("models", "pull", NAME)
    assert "127.0.0.1:9 can't be reached" in sentence
    assert f"`starfill models pull {NAME}` again" in sentence


def test_offline_by_choice(hub: FakeHub, environment: dict[str, str]) -> None:
    """The hub library reads the variable when it is imported."""
    command = [sys.executable, "-m", "starfill", "models", "pull", NAME]
    offline = environment | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=offline, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "HF_HUB_OFFLINE is set" in done.stderr
    assert hub.requests == []


def test_a_server_that_is_no_hub(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(NAME, BESIDE)
    monkeypatch.setattr("hub.server.json.dumps", lambda value: "<html>Log in to this network</html>")
    assert "no hub's answer: check HF_ENDPOINT" in refused("models", "pull", NAME)


def test_a_folder_that_can_not_be_written(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    cache.mkdir(parents=True)
    (cache / "models--owner--coder-GPTQ").write_text("in the way")
    assert "can't be written" in refused("models", "pull", NAME)


@pytest.mark.parametrize(
    "name", ["gpt2", "C:/models/x", "C:\\models\\x", "../up/here", "a--b/c", "owner/name:", "a/b/c"]
)
def test_what_is_no_repository(hub: FakeHub, cache: Path, name: str) -> None:
    assert f"{name} names no repository: write OWNER/NAME" in refused("models", "pull", name)
    assert hub.requests == []
