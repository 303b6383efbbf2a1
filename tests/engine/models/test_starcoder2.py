"""starcoder2 against transformers, and a KV state against computing everything again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checkpoints.random_checkpoint import Layout
from model_checks import check_splits, check_step, check_trim_and_fork, logits, model_at, some_ids
from tiny_checkpoints import STARCODER2, dequantized, their_logits, write, write_quantized

VARIANTS: dict[str, dict[str, Any]] = {
    "tied, biases, no window": {},
    "untied": {"tie_word_embeddings": False},
    "a window": {"sliding_window": 100, "rope_theta": 1e6},
    "a window of one block": {"sliding_window": 128},
    "no biases": {"use_bias": False},
    "another activation": {"hidden_act": "gelu"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_equal_those_of_transformers(tmp_path: Path, variant: str) -> None:
    theirs = write(tmp_path, STARCODER2 | VARIANTS[variant])
    model = model_at(tmp_path)
    ids = some_ids(300)
    expected = their_logits(theirs, ids)
    assert (logits(model, ids) - expected).abs().max() < 1e-4
    chunks = ids.split([128, 60, *[1] * 112])
    assert (logits(model, *chunks) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("layout", [Layout(4, 32, True), Layout(8, 128)], ids=str)
def test_quantized_logits_equal_those_of_the_dequantized_model(tmp_path: Path, layout: Layout) -> None:
    write_quantized(tmp_path, STARCODER2, layout)
    ids = some_ids(200)
    expected = their_logits(dequantized(tmp_path, STARCODER2, layout), ids)
    ours = logits(model_at(tmp_path), ids)
    assert (ours - expected).norm() / expected.norm() < 0.02


@pytest.mark.parametrize("variant", ["tied, biases, no window", "a window"])
@pytest.mark.usefixtures("each_kernel")
def test_the_same_bits_however_a_position_was_computed(tmp_path: Path, variant: str) -> None:
    write_quantized(tmp_path, STARCODER2 | VARIANTS[variant], Layout(4, 32, True))
    model = model_at(tmp_path)
    check_splits(model)
    check_step(model)
    check_trim_and_fork(model)
