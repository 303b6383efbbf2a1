"""A pass as one call of our kernels, against the same pass block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from model_checks import check_splits, check_step, model_at, some_ids
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.model import LanguageModel
from starfill.engine.models.decoder import Decoder
from starfill.engine.native.kernels import Native
from tiny_checkpoints import GPT_BIGCODE, LLAMA, STARCODER2, write, write_quantized

DEFAULT = Layout(4, 32, True)
MODELS: dict[str, dict[str, Any]] = {
    "gpt_bigcode": GPT_BIGCODE,
    "llama": LLAMA,
    "a key head for each query head": LLAMA | {"num_key_value_heads": 4},
    "heads wider than the stream": LLAMA | {"head_dim": 64, "attention_bias": True, "mlp_bias": True},
    "mistral": LLAMA | {"model_type": "mistral", "sliding_window": 100},
    "qwen2": LLAMA | {"model_type": "qwen2"},
    "starcoder2": STARCODER2 | {"sliding_window": 130},
}


def decoder(folder: Path, fields: dict[str, Any], layout: Layout = DEFAULT) -> Decoder:
    model = model_at(write_quantized(folder, fields, layout))
    assert isinstance(model, Decoder)
    return model


@torch.inference_mode()
def state_and_logits(model: LanguageModel, ids: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The KV state of `ids`, and their logits."""
    cache = KVCache(model.kv_shape)
    logits = model(ids, cache, last=len(ids))
    return cache.layers(), logits


@pytest.mark.parametrize("layout", [Layout(4, 32, True), Layout(8, 128), Layout(3, 64)], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_it_computes_what_the_blocks_do(
    tmp_path: Path, kernels: Native, name: str, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = decoder(tmp_path, MODELS[name], layout)
    blocks = model_at(tmp_path)
    ids = some_ids(260)
    state, logits = state_and_logits(model, ids)
    assert model.fused is not None
    monkeypatch.setattr("starfill.engine.models.fused.native", lambda: None)
    expected_state, expected = state_and_logits(blocks, ids)
    assert isinstance(blocks, Decoder) and blocks.fused is None
    assert (logits - expected).norm() / expected.norm() < 1e-3
    for kept, as_expected in zip(state, expected_state, strict=True):
        assert kept.dtype == torch.float16
        assert (kept - as_expected).float().norm() / as_expected.float().norm() < 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_the_same_bits_however_a_position_was_computed(tmp_path: Path, kernels: Native, name: str) -> None:
    model = decoder(tmp_path, MODELS[name])
    check_splits(model)
    check_step(model)


def test_the_same_bits_on_any_number_of_threads(
    tmp_path: Path, kernels: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = decoder(tmp_path, LLAMA)
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(model.team, "size", threads)
        found.append(state_and_logits(model, some_ids(200)))
    (one, logits), (two, same) = found
    assert torch.equal(logits, same)
    assert all(map(torch.equal, one, two))


@torch.inference_mode()
def test_without_logits_only_the_state_grows(tmp_path: Path, kernels: Native) -> None:
    model, ids = decoder(tmp_path, GPT_BIGCODE), some_ids(20)
    cache, other = KVCache(model.kv_shape), KVCache(model.kv_shape)
    assert model(ids, cache, last=0).shape == (0, 300)
    model(ids, other, last=20)
    assert cache.length == 20
    assert all(map(torch.equal, cache.layers(), other.layers()))


@pytest.mark.parametrize(
    "fields",
    [GPT_BIGCODE | {"activation_function": "relu"}, LLAMA | {"num_key_value_heads": 4, "head_dim": 8}],
    ids=["another activation", "small heads"],
)
def test_what_it_cannot_take_is_computed_block_by_block(tmp_path: Path, fields: dict[str, Any]) -> None:
    model = decoder(tmp_path, fields)
    assert model.fused is None
    check_step(model, exact=False)


def test_an_unquantized_model_is_computed_block_by_block(tmp_path: Path) -> None:
    write(tmp_path, LLAMA)
    model = model_at(tmp_path)
    assert isinstance(model, Decoder) and model.fused is None
