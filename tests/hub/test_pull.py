"""Pulling from a hub on this machine: what is fetched, what is refused, going on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.conftest import Files
from hub.pulling import NAME, WEIGHTS, names, refused, run
from hub.server import FakeHub


def test_a_pulled_checkpoint_is_whole_and_nothing_else(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    extra = ["README.md", "pytorch_model.bin", "modeling.py", "model.gguf", "onnx/model.onnx", "training_args.bin"]
    hub.add(NAME, checkpoint | dict.fromkeys(extra, b"unwanted") | {"generation_config.json": b"{}"})
    result = run("models", "pull", NAME)
    assert result.exit_code == 0, result.output
    folder = Path(result.stdout.strip())
    assert names(str(folder)) == {*checkpoint, "generation_config.json"}
    assert all((folder / name).read_bytes() == data for name, data in checkpoint.items())
    size = sum(map(len, checkpoint.values())) + 2
    assert f"{NAME}: {len(checkpoint) + 1} files, {size / 1e6:.1f} MB" in result.stderr
    assert "  0 %" in result.stderr and "100 %" in result.stderr
    assert not [request for request in hub.requests if any(name in request for name in extra)]


def test_the_library_finds_what_was_pulled(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    from huggingface_hub import hf_hub_download, scan_cache_dir

    hub.add(NAME, checkpoint)
    folder = Path(run("models", "pull", NAME).stdout.strip())
    assert hf_hub_download(NAME, WEIGHTS, cache_dir=cache, local_files_only=True) == str(folder / WEIGHTS)
    (repo,) = scan_cache_dir(cache).repos
    assert (repo.repo_id, set(repo.refs), repo.nb_files) == (NAME, {"main"}, len(checkpoint))


def test_nothing_about_this_machine_is_told(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    run("models", "pull", NAME)
    assert all(agent.startswith("starfill/") and "torch" not in agent for agent in hub.agents)
    assert all(
        request.split()[1].startswith((f"/api/models/{NAME}/", f"/{NAME}/", "/cdn/")) for request in hub.requests
    )


def test_pulling_again_downloads_nothing(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    first = run("models", "pull", NAME)
    hub.requests.clear()
    assert run("models", "pull", NAME).stdout == first.stdout
    assert hub.requests == [f"GET /api/models/{NAME}/revision/main"]


def test_branches_are_revisions(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    other = json.dumps(json.loads(checkpoint["config.json"]) | {"note": "other"}).encode()
    hub.add(NAME, checkpoint | {"config.json": other}, "gptq-4bit-32g-actorder_True")
    main_folder = Path(run("models", "pull", NAME).stdout.strip())
    hub.weight_bytes = 0
    folder = Path(run("models", "pull", f"{NAME}:gptq-4bit-32g-actorder_True").stdout.strip())
    assert (folder / "config.json").read_bytes() == other
    assert (main_folder / "config.json").read_bytes() == checkpoint["config.json"]
    assert hub.weight_bytes == 0  # the same weights are there already


def test_a_branch_that_moved_is_pulled_again(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    before = run("models", "pull", NAME).stdout
    hub.add(NAME, checkpoint | {"tokenizer_config.json": b"{}"})
    after = run("models", "pull", NAME).stdout
    assert before != after
    assert "tokenizer_config.json" in names(after)


@pytest.mark.parametrize("files", [1, 2])
def test_a_connection_that_is_cut_is_taken_up_again(
    hub: FakeHub, cache: Path, checkpoint: Files, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.add(NAME, checkpoint)
    hub.cut_after = len(checkpoint[WEIGHTS]) // (files + 1)
    result = run("models", "pull", NAME)
    assert result.exit_code == 0, result.output
    assert (Path(result.stdout.strip()) / WEIGHTS).read_bytes() == checkpoint[WEIGHTS]
    assert hub.weight_bytes < len(checkpoint[WEIGHTS]) + (files + 1) * 2**17


def test_an_interrupted_pull_goes_on_where_it_was(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    from starfill.checkpoint.hub import Repository
    from starfill.checkpoint.pull import plan, pull
    from starfill.errors import CheckpointError

    hub.add(NAME, checkpoint)
    half = len(checkpoint[WEIGHTS]) // 2
    told = []
    with pytest.raises(CheckpointError, match=f"stopped.*`starfill models pull {NAME}` goes on"):
        pull(plan(Repository.named(NAME)), lambda done, name: told.append(done), lambda: hub.weight_bytes > half)
    assert told == sorted(told)
    assert "lacks" in run("models", "list").stdout
    assert f"`starfill models pull {NAME}` again" in refused("models", "inspect", NAME)
    before, hub.weight_bytes = hub.weight_bytes, 0
    result = run("models", "pull", NAME)
    assert result.exit_code == 0, result.output
    assert "of which" in result.stderr
    assert (Path(result.stdout.strip()) / WEIGHTS).read_bytes() == checkpoint[WEIGHTS]
    assert hub.weight_bytes < len(checkpoint[WEIGHTS]) - half + 2**17
    assert before > half
    assert not list(cache.rglob("*.incomplete"))


def test_damage_on_the_way_is_noticed(hub: FakeHub, cache: Path, checkpoint: Files) -> None:
    hub.add(NAME, checkpoint)
    hub.damaged = True
    assert f"{WEIGHTS} of {NAME} arrived damaged" in refused("models", "pull", NAME)
    hub.damaged = False
    assert run("models", "pull", NAME).exit_code == 0
