"""Every quantization of every architecture: the linears of the loaded model against the reference dequantizer."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from checkpoints.random_checkpoint import Layout
from model_checks import logits, model_at, some_ids
from starfill.engine.linear import reference
from starfill.engine.linear.select import Linear
from starfill.engine.loading.checkpoint_source import CheckpointSource
from tiny_checkpoints import BASES, packed_layer, quantize, write

TOLERANCE = 0.006  # ||y - reference|| / ||reference||: bf16 activations and scales, 8 bits of mantissa each
FEWER = {"gpt_bigcode": {"n_layer": 1}, "llama": {"num_hidden_layers": 1}, "starcoder2": {"num_hidden_layers": 1}}


@pytest.mark.parametrize("architecture", BASES)
def test_every_layout(tmp_path: Path, architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: dict[str, Linear] = {}
    load = CheckpointSource.linear

    def remember(self: CheckpointSource, name: str, *shape: int, bias: bool) -> Linear:
        loaded[name] = load(self, name, *shape, bias=bias)
        return loaded[name]

    monkeypatch.setattr(CheckpointSource, "linear", remember)
    write(tmp_path, BASES[architecture] | FEWER[architecture])
    state = load_file(tmp_path / "model.safetensors")
    rng = torch.Generator().manual_seed(3)
    for bits, group_size, desc_act, sym in itertools.product(
        (3, 4, 8), (-1, 32, 64, 128), (False, True), (False, True)
    ):
        layout = Layout(bits, group_size, desc_act, sym=sym)
        quantized = quantize(tmp_path, layout, state)
        loaded.clear()
        model = model_at(tmp_path)
        assert len(loaded) == len([name for name in quantized if name.endswith("qweight")]) > 0
        for name, linear in loaded.items():
            layer = packed_layer(quantized, name, layout)
            x = torch.randn(7, layer.in_features, generator=rng)
            expected = reference.linear(x, layer)
            error = (linear(x).float() - expected).norm() / expected.norm()
            assert error < TOLERANCE, (layout, name)
        # Warm and cold: one at a time the same bits as all at once.
        ids = some_ids(20)
        assert torch.equal(logits(model, *ids.split([7, 1, 12])), logits(model, ids)), layout
