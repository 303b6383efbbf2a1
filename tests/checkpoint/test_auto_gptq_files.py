"""Files that auto-gptq 0.7.1 itself wrote (training/make_fixtures.py): read bit for bit, and run as it runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from starfill.checkpoint.config import read_config
from starfill.checkpoint.weights import Weights
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.linear import native
from starfill.engine.linear.reference import Packed, dequantize
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint

FIXTURES = sorted((Path(__file__).parent.parent / "fixtures" / "auto_gptq").iterdir())
LINEARS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


@pytest.fixture(params=FIXTURES, ids=lambda folder: str(folder.name))
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def packed(folder: Path, name: str) -> Packed:
    config = read_config(folder)
    weights = Weights.open(config)
    assert config.quantization is not None
    parts = {
        part: weights.get(f"{name}.{part}", weights.entry(f"{name}.{part}").shape, ("I32", "F16"))
        for part in ("qweight", "qzeros", "scales", "g_idx", "bias")
    }
    return Packed(**parts, bits=config.quantization.bits, zero_offset=1)


def test_there_is_one_of_each() -> None:
    assert len(FIXTURES) == 8


def test_the_weights_are_those_that_auto_gptq_reads(folder: Path) -> None:
    expected = load_file(folder / "expected.safetensors")
    for name in LINEARS:
        layer = packed(folder, f"transformer.h.0.{name}")
        assert torch.equal(dequantize(layer), expected[f"weight.transformer.h.0.{name}"]), name


def test_our_kernel_answers_as_auto_gptq_does(folder: Path) -> None:
    expected = load_file(folder / "expected.safetensors")
    for name in (f"transformer.h.{i}.{part}" for i in (0, 1) for part in LINEARS):
        layer = packed(folder, name)
        theirs = expected[f"output.{name}"].float()
        ours = native.pack(layer)(expected[f"input.{layer.in_features}"]).float()
        assert (ours - theirs).norm() / theirs.norm() < 0.006, name


def test_the_logits_are_those_of_transformers_with_these_weights(folder: Path) -> None:
    expected = load_file(folder / "expected.safetensors")
    model = load_model(OpenedCheckpoint.open(folder), torch.device("cpu")).model
    with torch.inference_mode():
        ours = model(expected["input_ids"][0], KVCache(model.kv_shape), last=16)
    theirs = expected["logits"][0]
    assert (ours - theirs).norm() / theirs.norm() < 0.03
