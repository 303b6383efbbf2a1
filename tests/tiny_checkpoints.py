"""Random checkpoints of every architecture, made through `transformers`, and what `transformers` says to them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from checkpoints.random_checkpoint import Layout
from checkpoints.random_checkpoint import linear as random_linear
from starfill.engine.linear.reference import Packed, dequantize
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint

LLAMA = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "vocab_size": 300,
    "tie_word_embeddings": False,
}
STARCODER2 = LLAMA | {"model_type": "starcoder2", "tie_word_embeddings": True}
GPT_BIGCODE = {
    "model_type": "gpt_bigcode",
    "n_embd": 128,
    "n_inner": 256,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 512,
    "vocab_size": 300,
}
BASES = {str(base["model_type"]): base for base in (GPT_BIGCODE, LLAMA, STARCODER2)}
PACKED = ("qweight", "qzeros", "scales", "g_idx")


def their_model(fields: dict[str, Any]) -> Any:
    """transformers' model of a config.json in float32, all parameters random (as made, norms are 1 and biases 0)."""
    from transformers import AutoConfig, AutoModelForCausalLM

    rest = {name: value for name, value in fields.items() if name != "model_type"}
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(fields["model_type"], **rest),
        attn_implementation="eager",  # the faster ones leave out soft caps in some releases (gemma2 in 4.57)
    )
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.copy_(torch.randn(parameter.shape, generator=rng) * 0.1 + ("norm" in name or "ln_" in name))
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=rng) * parameter.shape[-1] ** -0.5)
    return model.eval()


def write(folder: Path, fields: dict[str, Any]) -> Any:
    """An unquantized checkpoint; returns transformers' model of it."""
    model = their_model(fields)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if fields.get("tie_word_embeddings", model.config.tie_word_embeddings):
        state.pop("lm_head.weight")
    (folder / "config.json").write_text(json.dumps(fields))
    save_file(state, folder / "model.safetensors")
    return model


def write_quantized(folder: Path, fields: dict[str, Any], layout: Layout) -> Path:
    """The same with random GPTQ layers for those that can be quantized."""
    write(folder, fields)
    quantize(folder, layout, load_file(folder / "model.safetensors"))
    return folder


def quantize(folder: Path, layout: Layout, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Put random GPTQ layers into an unquantized checkpoint's folder; `state` is what it held."""
    state = dict(state)
    rng = torch.Generator().manual_seed(2)
    for name, (rows, columns) in OpenedCheckpoint.open(folder).architecture.linears().items():
        del state[f"{name}.weight"]
        made = random_linear(name, rows, columns, layout, rng)
        if state.pop(f"{name}.bias", None) is None:
            del made[f"{name}.bias"]
        state |= made
    (folder / "quantize_config.json").write_text(json.dumps(asdict(layout)))
    replace_file(state, folder / "model.safetensors")
    return state


def replace_file(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write a file anew from tensors that may be mapped from it: safetensors before 0.7 wrote over what it read."""
    new = path.with_suffix(".new")
    save_file(tensors, new)
    new.replace(path)


def packed_layer(state: dict[str, torch.Tensor], name: str, layout: Layout) -> Packed:
    parts = {part: state[f"{name}.{part}"] for part in PACKED}
    offset = 1 if layout.checkpoint_format == "gptq" else 0
    return Packed(**parts, bias=state.get(f"{name}.bias"), bits=layout.bits, zero_offset=offset)


def dequantized(folder: Path, fields: dict[str, Any], layout: Layout) -> torch.nn.Module:
    """transformers' model with the weights that the reference reads from a quantized checkpoint."""
    state = load_file(folder / "model.safetensors")
    for name in [name.removesuffix(".qweight") for name in state if name.endswith(".qweight")]:
        state[f"{name}.weight"] = dequantize(packed_layer(state, name, layout)).t().float().contiguous()
        for part in PACKED:
            del state[f"{name}.{part}"]
    model = their_model(fields)
    missing, unexpected = model.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    assert not unexpected
    assert not [name for name in missing if name != "lm_head.weight"]
    return model


@torch.inference_mode()
def their_logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model(ids[None]).logits[0]
    return logits
