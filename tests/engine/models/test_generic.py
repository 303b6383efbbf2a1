"""Architectures without a file of their own: transformers' class with our linears, attention and KV state."""

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
from starfill.errors import CheckpointError
from tiny_checkpoints import LLAMA, dequantized, their_logits, write, write_quantized

SMALL = {name: value for name, value in LLAMA.items() if name != "tie_word_embeddings"}
GEMMA = SMALL | {"model_type": "gemma", "head_dim": 64}  # CodeGemma: its head is always tied
GPT2 = {"n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 512, "vocab_size": 300}
OTHERS: dict[str, dict[str, Any]] = {
    "gemma": GEMMA,
    "gemma2: soft caps, some windows": GEMMA | {"model_type": "gemma2", "sliding_window": 256},
    "gpt_neox: fused projections, half rotary": SMALL | {"model_type": "gpt_neox"},
    "phi: a head with a bias": SMALL | {"model_type": "phi"},
    "falcon: attention of its own": SMALL | {"model_type": "falcon"},
    "bloom: no positions but slopes": {"model_type": "bloom", "hidden_size": 128, "n_layer": 2, "n_head": 4}
    | {"vocab_size": 300},
    "gpt2: weights the other way round": GPT2 | {"model_type": "gpt2"},
    "qwen3": LLAMA | {"model_type": "qwen3", "head_dim": 32},
}
OLD = tuple(map(int, transformers.__version__.split(".")[:2])) < (4, 53)
TOO_NEW = {name: OTHERS.pop(name) for name in list(OTHERS) if OLD and name.startswith(("gemma2", "gpt2", "qwen3"))}


@pytest.mark.parametrize("name", OTHERS)
def test_logits_equal_those_of_transformers(tmp_path: Path, name: str) -> None:
    theirs = write(tmp_path, OTHERS[name])
    model = model_at(tmp_path)
    ids = some_ids(min(300, OpenedCheckpoint.open(tmp_path).architecture.context_length))
    expected = their_logits(theirs, ids)
    assert (logits(model, ids) - expected).abs().max() < 1e-4
    chunks = ids.split([128, 60, *[1] * (len(ids) - 188)])
    assert (logits(model, *chunks) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("name", OTHERS)
def test_trimming_and_steps(tmp_path: Path, name: str) -> None:
    write(tmp_path, OTHERS[name])
    model = model_at(tmp_path)
    check_step(model, exact=False)
    check_trim_and_fork(model, exact=False)


@pytest.mark.parametrize("layout", [Layout(4, 32, True), Layout(8, -1)], ids=str)
def test_quantized_logits_equal_those_of_the_dequantized_model(tmp_path: Path, layout: Layout) -> None:
    write_quantized(tmp_path, GEMMA, layout)
    ids = some_ids(200)
    expected = their_logits(dequantized(tmp_path, GEMMA, layout), ids)
    loaded = load_model(OpenedCheckpoint.open(tmp_path), torch.device("cpu"))
    assert loaded.info.kernel == "native-int16 through transformers"
    ours = logits(loaded.model, ids)
    assert (ours - expected).norm() / expected.norm() < 0.05


def test_warm_equals_cold(tmp_path: Path) -> None:
    write_quantized(tmp_path, GEMMA, Layout(4, 32, True))
    model = model_at(tmp_path)
    check_splits(model)
    check_step(model)
    check_trim_and_fork(model)


@pytest.mark.skipif(not OLD, reason="needs transformers 4.51 or 4.52, as in the auto-gptq environment")
@pytest.mark.parametrize("name", TOO_NEW)
def test_an_old_release_that_cannot_run_a_model_is_said_to_be_old(tmp_path: Path, name: str) -> None:
    write(tmp_path, TOO_NEW[name])
    with pytest.raises(CheckpointError, match=f"transformers {transformers.__version__}.*install transformers 4.53"):
        OpenedCheckpoint.open(tmp_path)


@pytest.mark.parametrize(
    "fields,message",
    [
        ({"model_type": "abacus"}, "model_type 'abacus' .* is not supported: Starfill runs gpt_bigcode, llama"),
        ({"model_type": "clip"}, "model_type 'clip' .* is not supported"),
        ({"model_type": "mamba", "num_hidden_layers": 2, "hidden_size": 32}, "0 of its 2 layers keep keys and values"),
        (SMALL | {"model_type": "phi", "hidden_act": "swish7"}, "can't be run through transformers .*swish7"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=message):
        OpenedCheckpoint.open(tmp_path)


def test_code_in_a_model_folder_is_never_run(tmp_path: Path) -> None:
    write(tmp_path, GEMMA)
    (tmp_path / "modeling.py").write_text("raise SystemExit('run')")
    auto_map = {"AutoConfig": "modeling.Config", "AutoModelForCausalLM": "modeling.Model"}
    (tmp_path / "config.json").write_text(json.dumps(GEMMA | {"auto_map": auto_map}))
    assert logits(model_at(tmp_path), some_ids(5)).shape == (5, 300)
    (tmp_path / "config.json").write_text(json.dumps(GEMMA | {"auto_map": auto_map, "model_type": "custom"}))
    with pytest.raises(CheckpointError, match="model_type 'custom'"):
        model_at(tmp_path)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    write(tmp_path, GEMMA)
    (tmp_path / "config.json").write_text(json.dumps(GEMMA | {"num_hidden_layers": 3}))
    with pytest.raises(CheckpointError, match=r"tensor model\.layers\.2\..* is missing"):
        model_at(tmp_path)
