"""llama, mistral and qwen2 against transformers, and a KV state against computing everything again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from checkpoints.random_checkpoint import Layout
from model_checks import check_splits, check_step, check_trim_and_fork, logits, model_at, some_ids
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.models.decoder import Rows
from starfill.errors import CheckpointError
from tiny_checkpoints import LLAMA, dequantized, their_logits, write, write_quantized

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "grouped queries": {},
    "a key head for each query head": {"num_key_value_heads": 4},
    "one key head": {"num_key_value_heads": 1},
    "tied": {"tie_word_embeddings": True},
    "biases everywhere": {"attention_bias": True, "mlp_bias": True},
    "head_dim of its own": {"head_dim": 48},
    "CodeLlama": {"rope_theta": 1e6, "vocab_size": 316},
    "linear scaling, old spelling": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "dynamic scaling": {"rope_scaling": {"type": "dynamic", "factor": 4.0}},
    "llama3 scaling": {"rope_scaling": LLAMA3, "rope_theta": 500000.0},
    "yarn scaling": {"rope_scaling": YARN},
    "yarn scaling, all its fields": {
        "rope_scaling": YARN | {"beta_fast": 16.0, "beta_slow": 2.0, "mscale": 0.7, "mscale_all_dim": 1.0}
    },
    "rope_parameters of transformers 5": {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e5}},
    "mistral": {"model_type": "mistral", "sliding_window": None},
    "mistral with a window": {"model_type": "mistral", "sliding_window": 100},
    "qwen2": {"model_type": "qwen2", "rope_theta": 1e6, "tie_word_embeddings": True},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_equal_those_of_transformers(tmp_path: Path, variant: str) -> None:
    if "rope_parameters" in VARIANTS[variant] and int(transformers.__version__.split(".")[0]) < 5:
        pytest.skip(f"transformers {transformers.__version__} doesn't read rope_parameters")
    theirs = write(tmp_path, LLAMA | VARIANTS[variant])
    model = model_at(tmp_path)
    ids = some_ids(300)
    expected = their_logits(theirs, ids)
    assert (logits(model, ids) - expected).abs().max() < 1e-4
    chunks = ids.split([128, 60, *[1] * 112])
    assert (logits(model, *chunks) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("layout", [Layout(4, 32), Layout(8, -1), Layout(3, 64, True)], ids=str)
def test_quantized_logits_equal_those_of_the_dequantized_model(tmp_path: Path, layout: Layout) -> None:
    fields = LLAMA | {"attention_bias": True}
    write_quantized(tmp_path, fields, layout)
    ids = some_ids(200)
    expected = their_logits(dequantized(tmp_path, fields, layout), ids)
    ours = logits(model_at(tmp_path), ids)
    assert (ours - expected).norm() / expected.norm() < 0.01  # weights in fp16 there; each linear alone: test_matrix.py


@pytest.mark.parametrize(
    "variant", ["grouped queries", "a key head for each query head", "mistral with a window", "qwen2", "yarn scaling"]
)
@pytest.mark.usefixtures("each_kernel")
def test_the_same_bits_however_a_position_was_computed(tmp_path: Path, variant: str) -> None:
    write_quantized(tmp_path, LLAMA | VARIANTS[variant], Layout(4, 32, True))
    model = model_at(tmp_path)
    check_splits(model)
    check_step(model)
    check_trim_and_fork(model)


def test_layers_on_several_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One device under two names: what a second card would be given, and the same answers."""
    write_quantized(tmp_path, LLAMA | {"num_hidden_layers": 5}, Layout(4, 32))
    moved: list[torch.device] = []
    move = Rows.to
    monkeypatch.setattr(Rows, "to", lambda rows, device: moved.append(device) or move(rows, device))
    first, second = torch.device("cpu"), torch.device("cpu", 0)
    placed = (first, first, second, second, first)
    spread = load_model(OpenedCheckpoint.open(tmp_path), first, devices=placed)
    assert spread.info.device == "cpu, cpu:0"
    assert spread.model.kv_shape.devices == placed
    ids = some_ids(140)
    monkeypatch.setattr("starfill.engine.models.fused.native", lambda: None)  # the others take the same steps then
    assert torch.equal(logits(spread.model, *ids.split([100, 40])), logits(model_at(tmp_path), ids))
    assert moved == [second, first] * 2  # twice in each pass, and never where all layers are together


def test_the_last_position_can_be_used(tmp_path: Path) -> None:
    write_quantized(tmp_path, LLAMA | {"max_position_embeddings": 64}, Layout(4, 32))
    assert logits(model_at(tmp_path), torch.arange(64)).shape == (64, 300)


def test_a_window_of_some_layers_bounds_the_context(tmp_path: Path) -> None:
    windowed = {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 96, "max_window_layers": 1}
    theirs = write(tmp_path, LLAMA | windowed)
    assert OpenedCheckpoint.open(tmp_path).architecture.context_length == 96
    ids = some_ids(96)
    assert (logits(model_at(tmp_path), ids) - their_logits(theirs, ids)).abs().max() < 1e-4


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"rope_scaling": {"type": "longrope"}}, "rope_type 'longrope'"),
        ({"rope_scaling": {"type": "linear"}}, "factor is None in rope_scaling of"),
        ({"rope_scaling": {"type": "llama3", "factor": 8.0}}, "low_freq_factor is None"),
        ({"rope_scaling": "linear"}, "rope_scaling of .* is no JSON object"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"hidden_act": "swish7"}, "hidden_act 'swish7'"),
        ({"num_key_value_heads": 3}, "no multiple of its 3 KV heads"),
        ({"num_hidden_layers": None}, "num_hidden_layers is None"),
        ({"model_type": "mistral", "sliding_window": 0}, "sliding_window is 0"),
    ],
)
def test_a_config_that_cannot_be_run_is_one_sentence(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | changes))
    with pytest.raises(CheckpointError, match=message):
        OpenedCheckpoint.open(tmp_path)


def test_a_head_that_is_neither_stored_nor_tied_is_missing(tmp_path: Path) -> None:
    write(tmp_path, LLAMA | {"tie_word_embeddings": True})
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    with pytest.raises(CheckpointError, match=r"lm_head\.weight is missing"):
        model_at(tmp_path)


def test_a_bias_that_the_architecture_has_must_be_there(tmp_path: Path) -> None:
    write(tmp_path, LLAMA)
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"mlp_bias": True}))
    with pytest.raises(CheckpointError, match=r"gate_proj\.bias is missing"):
        model_at(tmp_path)
