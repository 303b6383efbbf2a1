"""Our gpt_bigcode against transformers' GPTBigCode, and a KV cache against computing everything again."""

from __future__ import annotations

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from model_checks import check_splits, check_step, check_trim_and_fork, logits, model_at, some_ids
from starfill.checkpoint.config import read_config


@pytest.mark.parametrize("changes", [{}, {"n_head": 4, "n_layer": 3}, {"n_embd": 96, "n_head": 1, "vocab_size": 400}])
def test_logits_equal_those_of_transformers(make_checkpoint: MakeCheckpoint, changes: dict[str, int]) -> None:
    from transformers import GPTBigCodeForCausalLM

    folder = make_checkpoint(Layout(bits=0), **changes)
    theirs = GPTBigCodeForCausalLM.from_pretrained(folder).float().eval()
    ids = some_ids(200)
    with torch.inference_mode():
        expected = theirs(ids[None]).logits[0]
    assert (logits(model_at(folder), ids) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("layout", [Layout(4, 32), Layout(8, -1), Layout(4, 64, True)], ids=str)
def test_quantized_logits_equal_those_of_the_dequantized_model(make_checkpoint: MakeCheckpoint, layout: Layout) -> None:
    """transformers with the reference's weights in float32, against our kernels."""
    from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

    from starfill.checkpoint.weights import Weights
    from starfill.engine.linear.reference import Packed, dequantize

    folder = make_checkpoint(layout)
    config = read_config(folder)
    weights = Weights.open(config)
    state = {}
    for name in weights:
        tensor = weights.get(name, weights.entry(name).shape, (weights.entry(name).dtype,))
        if name.endswith(".qweight"):
            layer = name.removesuffix(".qweight")
            parts = {
                p: weights.get(f"{layer}.{p}", weights.entry(f"{layer}.{p}").shape, ("I32", "F16"))
                for p in ("qweight", "qzeros", "scales", "g_idx")
            }
            state[f"{layer}.weight"] = (
                dequantize(Packed(**parts, bias=None, bits=layout.bits, zero_offset=1)).t().float()
            )
        elif not name.endswith((".qzeros", ".scales", ".g_idx")):
            state[name] = tensor.float()
    theirs = GPTBigCodeForCausalLM(GPTBigCodeConfig(**config.model)).eval()
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name == "lm_head.weight" or name.endswith((".attn.bias", ".masked_bias")) for name in missing)
    ids = some_ids(100)
    with torch.inference_mode():
        expected = theirs(ids[None]).logits[0]
    ours = logits(model_at(folder), ids)
    assert (ours - expected).norm() / expected.norm() < 0.02


@pytest.mark.parametrize("layout", [Layout(4, 32), Layout(8, 64, True)], ids=str)
@pytest.mark.usefixtures("each_kernel")
def test_the_same_bits_however_a_position_was_computed(make_checkpoint: MakeCheckpoint, layout: Layout) -> None:
    model = model_at(make_checkpoint(layout))
    check_splits(model)
    check_step(model)
    check_trim_and_fork(model)


def test_the_last_position_can_be_used(make_checkpoint: MakeCheckpoint) -> None:
    model = model_at(make_checkpoint(Layout(4, 32), n_positions=64))
    assert logits(model, torch.arange(64)).shape == (64, 300)
