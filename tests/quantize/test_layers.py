"""The skeleton that is filled layer by layer, and the hidden states that go through it, against transformers itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tiny_checkpoints as tiny
from starfill.checkpoint.config import read_config
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.quantize.activations import Activations
from starfill.quantize.skeleton import Skeleton, classic

ARCHITECTURES = {
    **tiny.BASES,
    "mistral": tiny.LLAMA | {"model_type": "mistral"},
    "qwen2": tiny.LLAMA | {"model_type": "qwen2"},
}
GROUPS = {
    "gpt_bigcode": [["attn.c_attn"], ["attn.c_proj"], ["mlp.c_fc"], ["mlp.c_proj"]],
    "starcoder2": [
        ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        ["self_attn.o_proj"],
        ["mlp.c_fc"],
        ["mlp.c_proj"],
    ],
}
LLAMAS = [
    ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    ["self_attn.o_proj"],
    ["mlp.gate_proj", "mlp.up_proj"],
    ["mlp.down_proj"],
]
SEQUENCES = [[1, 2, 3, 4, 5, 6, 7], [9, 8, 7], [11, 12, 13, 14, 15, 16, 17]]


def held(module: nn.Module) -> int:
    """Parameters that are in memory."""
    return sum(p.numel() for p in module.parameters() if p.device.type != "meta")


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.inference_mode()
def test_hidden_states_go_through_one_layer_at_a_time(name: str, tmp_path: Path) -> None:
    fields: dict[str, Any] = ARCHITECTURES[name]
    theirs = tiny.write(tmp_path, fields)
    skeleton = Skeleton(read_config(tmp_path), torch.device("cpu"))
    assert held(skeleton.model) == 0
    activations = Activations(skeleton, SEQUENCES)
    assert held(skeleton.model) == 0
    for number in range(2):
        layer = skeleton.load_layer(number)
        assert activations.groups(layer) == GROUPS.get(name, LLAMAS)
        assert held(skeleton.model) == held(layer) > 0
        activations.advance(layer)
        skeleton.free(layer)
    norm = theirs.transformer.ln_f if name == "gpt_bigcode" else theirs.model.norm
    for ids, hidden in zip(SEQUENCES, activations.hidden, strict=True):
        expected = theirs(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(norm(hidden), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", tiny.BASES)
def test_what_is_quantized_is_what_starfill_reads_quantized(name: str, tmp_path: Path) -> None:
    tiny.write(tmp_path, tiny.BASES[name])
    config = read_config(tmp_path)
    skeleton = Skeleton(config, torch.device("cpu"))
    assert skeleton.linears == dict(OpenedCheckpoint.of(config).architecture.linears())
    assert skeleton.context_length == 512
    assert "lm_head.weight" in skeleton.names
    lean = Skeleton(config, torch.device("cpu"), copy_head=False)
    assert ("lm_head.weight" in lean.names) == (name == "llama")  # the others' is the embedding table


@torch.inference_mode()
def test_each_of_a_group_sees_the_inputs_of_all_sequences(tmp_path: Path) -> None:
    theirs = tiny.write(tmp_path, tiny.LLAMA)
    skeleton = Skeleton(read_config(tmp_path), torch.device("cpu"))
    activations = Activations(skeleton, SEQUENCES)
    layer = skeleton.load_layer(0)
    seen: dict[str, list[torch.Tensor]] = {"mlp.gate_proj": [], "mlp.up_proj": []}
    activations.watch(layer, {name: into.append for name, into in seen.items()})
    caught: list[torch.Tensor] = []
    theirs.model.layers[0].mlp.up_proj.register_forward_pre_hook(lambda _, args: caught.append(args[0][0]))
    for ids in SEQUENCES:
        theirs(torch.tensor([ids]))
    for inputs in seen.values():
        assert [tuple(x.shape) for x in inputs] == [(7, 128), (3, 128), (7, 128)]
        for found, expected in zip(inputs, caught, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_rotary_settings_get_their_older_names() -> None:
    rope = {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6}
    old = classic({"rope_parameters": rope, "n": 1})
    assert old["rope_theta"] == 1e6 and old["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}
    assert old["rope_parameters"] == rope and old["n"] == 1
    assert classic({"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}).keys() == {
        "rope_parameters",
        "rope_theta",
    }
    assert classic({"rope_theta": 2.0}) == {"rope_theta": 2.0}


@torch.inference_mode()
def test_a_base_frequency_of_its_own_counts_under_either_name(tmp_path: Path) -> None:
    found = []
    old, new = {"rope_theta": 1e6}, {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
    for number, rope in enumerate((old, new)):
        folder = tmp_path / str(number)
        folder.mkdir()
        tiny.write(folder, tiny.LLAMA)
        (folder / "config.json").write_text(json.dumps(tiny.LLAMA | rope))
        skeleton = Skeleton(read_config(folder), torch.device("cpu"))
        activations = Activations(skeleton, [[1, 2, 3, 4, 5]])
        activations.advance(skeleton.load_layer(0))
        found.append(activations.hidden[0])
    assert torch.equal(*found)
