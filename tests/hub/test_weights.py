"""Which of several sets of weights is downloaded, and what is refused before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.conftest import Files
from hub.pulling import BESIDE, NAME, names, refused, run
from hub.server import FakeHub


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
