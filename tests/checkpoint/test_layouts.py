"""The published layouts of a checkpoint folder, all with the same model in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoints.random_checkpoint import SHAPES, Layout, write
from conftest import MakeCheckpoint
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.loading.packed_cache import PackedCache
from tiny_checkpoints import replace_file


def logits(folder: Path, cache: PackedCache | None = None) -> torch.Tensor:
    model = load_model(OpenedCheckpoint.open(folder), torch.device("cpu"), cache).model
    with torch.inference_mode():
        return model(torch.arange(40), KVCache(model.kv_shape), last=40)


@pytest.fixture
def folder(make_checkpoint: MakeCheckpoint) -> Path:
    return make_checkpoint(Layout(4, 32, desc_act=True))


def only_file(folder: Path) -> Path:
    (file,) = folder.glob("*.safetensors")
    return file


@pytest.mark.parametrize("name", ["model.safetensors", "gptq_model-4bit--1g.safetensors", "anything.safetensors"])
def test_any_usual_file_name(folder: Path, name: str) -> None:
    expected = logits(folder)
    only_file(folder).rename(folder / name)
    assert torch.equal(logits(folder), expected)


def test_shards_with_an_index(folder: Path) -> None:
    expected = logits(folder)
    tensors = load_file(only_file(folder))
    only_file(folder).unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, members in parts.items():
        save_file({name: tensors[name] for name in members}, folder / file)
    assert torch.equal(logits(folder), expected)  # by their names alone
    weight_map = {name: file for file, members in parts.items() for name in members}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert torch.equal(logits(folder), expected)


def test_quantization_inside_config_json(folder: Path) -> None:
    expected = logits(folder)
    config = json.loads((folder / "config.json").read_text())
    quantization = json.loads((folder / "quantize_config.json").read_text())
    config["quantization_config"] = {**quantization, "quant_method": "gptq"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "quantize_config.json").unlink()
    assert torch.equal(logits(folder), expected)


def test_a_stored_output_head_is_used_instead_of_the_tied_one(folder: Path) -> None:
    expected = logits(folder)
    tensors = load_file(only_file(folder))
    replace_file({**tensors, "lm_head.weight": tensors["transformer.wte.weight"].clone()}, only_file(folder))
    assert torch.equal(logits(folder), expected)
    replace_file({**tensors, "lm_head.weight": -tensors["transformer.wte.weight"]}, only_file(folder))
    assert torch.allclose(logits(folder), -expected, atol=0.05)


def test_a_missing_g_idx_means_groups_in_order(make_checkpoint: MakeCheckpoint) -> None:
    folder = make_checkpoint(Layout(4, 32))
    expected = logits(folder)
    tensors = load_file(only_file(folder))
    replace_file({name: t for name, t in tensors.items() if not name.endswith("g_idx")}, only_file(folder))
    assert torch.equal(logits(folder), expected)


def test_tensors_that_no_one_asks_for_are_ignored(tmp_path: Path) -> None:
    folder = write(tmp_path, SHAPES["tiny-llama"], Layout(4, 32, desc_act=True))
    expected = logits(folder)
    extra = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.full((8,), torch.nan) for i in range(2)}
    replace_file({**load_file(only_file(folder)), **extra}, only_file(folder))
    assert torch.equal(logits(folder), expected)


def test_biases_of_zeros_change_nothing(tmp_path: Path) -> None:
    """auto-gptq writes them for llama's layers, which have none; other writers don't."""
    found = []
    for zero_biases in (False, True):
        layout = Layout(4, 32, desc_act=True, zero_biases=zero_biases)
        found.append(logits(write(tmp_path / str(zero_biases), SHAPES["tiny-llama"], layout)))
    assert torch.equal(*found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_unquantized_checkpoints_of_each_dtype(make_checkpoint: MakeCheckpoint, dtype: torch.dtype) -> None:
    folder = make_checkpoint(Layout(bits=0))
    expected = logits(folder)
    replace_file({name: t.to(dtype) for name, t in load_file(only_file(folder)).items()}, only_file(folder))
    assert torch.allclose(logits(folder), expected, atol=0.3 if dtype == torch.bfloat16 else 0.03)


def test_repacked_weights_are_kept_and_used(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PackedCache(tmp_path / "packed")
    expected = logits(folder)
    assert torch.equal(logits(folder, cache), expected)
    (entry,) = cache.entries()
    assert entry.nbytes > 0

    def unwanted(*_: object) -> None:
        raise AssertionError("repacked again")

    monkeypatch.setattr("starfill.engine.linear.native.pack", unwanted)
    monkeypatch.setattr("starfill.engine.linear.native.pack_head", unwanted)
    assert torch.equal(logits(folder, cache), expected)


def test_another_content_is_another_entry(folder: Path, tmp_path: Path) -> None:
    cache = PackedCache(tmp_path)
    logits(folder, cache)
    tensors = load_file(only_file(folder))
    tensors["transformer.h.0.mlp.c_fc.qweight"] ^= 1
    replace_file(tensors, only_file(folder))
    assert torch.equal(logits(folder, cache), logits(folder))
    assert len(cache.entries()) == 2


def test_a_damaged_entry_is_repacked(folder: Path, tmp_path: Path) -> None:
    cache = PackedCache(tmp_path)
    expected = logits(folder, cache)
    (entry,) = cache.entries()
    next(entry.path.glob("*c_fc*")).write_bytes(b"damaged")
    next(entry.path.glob("*c_attn*")).unlink()
    assert torch.equal(logits(folder, cache), expected)


def test_the_cache_is_bounded_and_clearable(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    cache = PackedCache(tmp_path)
    folders = [make_checkpoint(Layout(4, 32, desc_act=bool(i))) for i in (0, 1)]
    logits(folders[0], cache)
    cache.limit = cache.entries()[0].nbytes
    logits(folders[1], cache)
    (entry,) = cache.entries()  # the older one had to go
    assert entry.path == cache.reader(cache.key([only_file(folders[1])], "native-int16"))
    assert cache.clear() == entry.nbytes
    assert cache.entries() == []


def test_a_cache_that_cannot_be_written_is_done_without(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert torch.equal(logits(folder, PackedCache(tmp_path / "file")), logits(folder))
