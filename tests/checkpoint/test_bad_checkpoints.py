"""Garbage in, one clear sentence out: each names the file, tensor or field, and says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from starfill.app.backend import LocalBackend
from starfill.config.settings import Settings
from starfill.errors import CheckpointError

Damage = Callable[[Path], object]
WEIGHTS = "gptq_model-4bit-32g.safetensors"


def edit_json(name: str, **changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        raw = json.loads((folder / name).read_text())
        for key, value in changes.items():
            if value is None:
                raw.pop(key)
            else:
                raw[key] = value
        (folder / name).write_text(json.dumps(raw))

    return damage


def edit_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return damage


def set_tensor(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Damage:
    return edit_tensors(lambda tensors: tensors.update({name: make(tensors[name]).contiguous()}))


def truncate(folder: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(5000)


def only_a_pickle(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def lose_a_shard(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")


def lose_an_indexed_shard(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    names = {"transformer.wpe.weight": "model-00001-of-00002", "transformer.wte.weight": "model-00002-of-00002"}
    index = {"weight_map": {tensor: f"{name}.safetensors" for tensor, name in names.items()}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def two_checkpoints(folder: Path) -> None:
    edit_json("quantize_config.json", model_file_base_name=None)(folder)
    (folder / "other.safetensors").write_bytes((folder / WEIGHTS).read_bytes())


C_FC = "transformer.h.1.mlp.c_fc"
TABLE: list[tuple[Damage, list[str]]] = [
    (truncate, [WEIGHTS, "truncated", "download it again"]),
    (lambda f: (f / WEIGHTS).write_bytes(b"\0" * 300), [WEIGHTS, "no safetensors file"]),
    (lambda f: (f / WEIGHTS).unlink(), ["no .safetensors file", "download"]),
    (only_a_pickle, ["pytorch_model.bin", "pickle", "safetensors version"]),
    (lose_a_shard, ["1 of 2 shards"]),
    (lose_an_indexed_shard, ["model-00002-of-00002.safetensors", "missing", "1 of 2 shards"]),
    (two_checkpoints, ["other.safetensors", "keep only one"]),
    (set_tensor(f"{C_FC}.qweight", lambda t: t.float()), [f"{C_FC}.qweight", "dtype F32", "I32"]),
    (set_tensor(f"{C_FC}.scales", lambda t: t.int()), [f"{C_FC}.scales", "dtype I32"]),
    (set_tensor(f"{C_FC}.scales", lambda t: t[:1]), [f"{C_FC}.scales", "shape [1, 256]", "[2, 256]"]),
    (set_tensor(f"{C_FC}.g_idx", lambda t: t * 0), [f"{C_FC}.g_idx", "32 input features"]),
    (set_tensor(f"{C_FC}.g_idx", lambda t: t + 9), [f"{C_FC}.g_idx", "into each group"]),
    (edit_tensors(lambda t: t.pop(f"{C_FC}.qzeros")), [f"{C_FC}.qzeros", "missing"]),
    (edit_tensors(lambda t: t.pop("transformer.ln_f.bias")), ["transformer.ln_f.bias", "missing"]),
    (edit_json("quantize_config.json", group_size=48), ["group_size 48", "does not divide", "64"]),
    (edit_json("quantize_config.json", group_size=64), ["g_idx", "64 input features"]),
    (edit_json("quantize_config.json", group_size="large"), ["group_size 'large'", "quantize_config.json"]),
    (edit_json("quantize_config.json", bits=5), ["bits 5", "3, 4 and 8"]),
    (edit_json("quantize_config.json", bits=None), ["bits None"]),
    (edit_json("quantize_config.json", checkpoint_format="marlin"), ["'marlin'", "gptq_v2"]),
    (edit_json("quantize_config.json", quant_method="awq"), ["'awq'", "'gptq'"]),
    (edit_json("config.json", model_type="no_such"), ["'no_such'", "gpt_bigcode", "transformers"]),
    (edit_json("config.json", model_type=None), ["model_type", "config.json"]),
    (edit_json("config.json", n_layer=None), ["n_layer", "None", "config.json"]),
    (edit_json("config.json", n_head=-2), ["n_head", "-2"]),
    (edit_json("config.json", n_head=3), ["n_embd 64", "n_head 3"]),
    (edit_json("config.json", n_layer=3), ["transformer.h.2", "missing"]),
    (edit_json("config.json", multi_query=False), ["multi_query"]),
    (edit_json("config.json", activation_function="swish"), ["'swish'", "gelu"]),
    (edit_json("config.json", vocab_size=200), ["300 tokens", "vocab_size 200"]),
    (lambda f: (f / "config.json").write_text("{"), ["config.json", "JSON"]),
    (lambda f: (f / "config.json").write_text("[]"), ["config.json", "no JSON object"]),
    (lambda f: (f / "config.json").unlink(), ["config.json", "missing"]),
    (lambda f: (f / "tokenizer.json").unlink(), ["tokenizer.json", "missing"]),
    (lambda f: (f / "tokenizer.json").write_text('{"model": 5}'), ["tokenizer.json", "can't be used"]),
]


@pytest.mark.parametrize("damage,words", TABLE, ids=[" ".join(words) for _, words in TABLE])
def test_a_bad_checkpoint_is_named(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: Damage, words: list[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = make_checkpoint(Layout(4, 32))
    damage(folder)
    with pytest.raises(CheckpointError) as caught:
        LocalBackend().load(Settings(model=str(folder)))
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence
    assert not list(tmp_path.rglob("partial-*")), "a failed load left a half-finished cache"


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(CheckpointError, match="/no/such/model is not a folder"):
        LocalBackend().load(Settings(model="/no/such/model"))
