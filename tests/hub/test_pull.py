"""Pulling from a hub on this machine: what is fetched, what is refused, going on after an interruption."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub.conftest import Files
from hub.server import TOKEN, FakeHub
from starfill.cli.main import main

NAME = "owner/coder-GPTQ"
WEIGHTS = "gptq_model-4bit-32g.safetensors"


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def refused(*args: str) -> str:
    """The sentence of a command that can't do what it was asked for."""
    result = run(*args)
    assert result.exit_code == 2, result.output
    sentence = result.stderr.splitlines()[-1]
    assert sentence.startswith("starfill: ")
    return sentence


def names(path: str) -> set[str]:
    return {file.name for file in Path(path.strip()).iterdir()}


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


# Which of several weights


def index(*shards: str) -> bytes:
    return json.dumps({"weight_map": {f"tensor{i}": shard for i, shard in enumerate(shards)}}).encode()


SHARDS = {f"model-0000{i}-of-00002.safetensors": b"shard %d" % i for i in (1, 2)}
CHOICES: list[tuple[Files, set[str]]] = [
    ({"model.safetensors": b"a"}, {"model.safetensors"}),
    ({"model.safetensors": b"a", "other.safetensors": b"b"}, {"model.safetensors"}),
    ({"model.safetensors": b"a", "consolidated.safetensors": b"b"}, {"model.safetensors"}),
    (
        {
            "model.safetensors": b"a",
            "gptq.safetensors": b"b",
            "quantize_config.json": b'{"bits": 4, "model_file_base_name": "gptq"}',
        },
        {"gptq.safetensors", "quantize_config.json"},
    ),
    (
        {"model.safetensors": b"a", "gptq.safetensors": b"b"}
        | {"config.json": b'{"quantization_config": {"bits": 4, "model_file_base_name": "gptq"}}'},
        {"gptq.safetensors"},
    ),
    (SHARDS, set(SHARDS)),
    (
        SHARDS | {"model.safetensors.index.json": index(*SHARDS)},
        {*SHARDS, "model.safetensors.index.json"},
    ),
    (
        {"model.safetensors.index.json": index("a.safetensors", "b.safetensors"), "a.safetensors": b"a"}
        | {"b.safetensors": b"b", "extra.safetensors": b"c"},
        {"model.safetensors.index.json", "a.safetensors", "b.safetensors"},
    ),
]


@pytest.mark.parametrize("files,wanted", CHOICES)
def test_one_set_of_weights_is_chosen(hub: FakeHub, cache: Path, files: Files, wanted: set[str]) -> None:
    hub.add(NAME, {"config.json": b"{}", "tokenizer.json": b"{}"} | files)
    result = run("models", "pull", NAME)
    assert result.exit_code == 0, result.output
    assert names(result.stdout) == wanted | {"config.json", "tokenizer.json"}


BESIDE = {"config.json": b"{}", "tokenizer.json": b"{}"}
REFUSED: list[tuple[Files, list[str]]] = [
    (BESIDE | {"pytorch_model.bin": b"x"}, ["pickles only", "pytorch_model.bin", "nothing was downloaded", "branch"]),
    (BESIDE | {"coder.gguf": b"x"}, ["no safetensors"]),
    (BESIDE | {"sub/model.safetensors": b"x"}, ["no safetensors"]),
    ({"model.safetensors": b"x", "tokenizer.json": b"{}"}, ["no config.json"]),
    ({"model.safetensors": b"x", "config.json": b"{}"}, ["no tokenizer.json"]),
    (BESIDE | {"model-00002-of-00002.safetensors": b"x"}, ["lacks model-00001-of-00002.safetensors"]),
    (BESIDE | {"a.safetensors": b"x", "b.safetensors": b"y"}, ["a.safetensors, b.safetensors"]),
]


@pytest.mark.parametrize("files,words", REFUSED, ids=[words[0] for _, words in REFUSED])
def test_what_can_not_be_used_is_refused_before_downloading(
    hub: FakeHub, cache: Path, files: Files, words: list[str]
) -> None:
    hub.add(NAME, files)
    sentence = refused("models", "pull", NAME)
    assert all(word in sentence for word in (NAME, *words)), sentence
    assert hub.requests[0] == f"GET /api/models/{NAME}/revision/main"
    assert all(request.endswith("/config.json") for request in hub.requests[1:])  # asked which weights are meant


def test_too_little_room_is_said_before_downloading(
    hub: FakeHub, cache: Path, checkpoint: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    hub.add(NAME, checkpoint)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**12, 10**12, 1000))
    sentence = refused("models", "pull", NAME)
    assert all(word in sentence for word in ("needs", str(cache), "0.0 MB are free", "HF_HOME")), sentence
    assert hub.weight_bytes == 0


# What can go wrong, each one sentence


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
