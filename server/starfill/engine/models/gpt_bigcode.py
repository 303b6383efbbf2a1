"""gpt_bigcode: StarCoder, StarCoderBase, SantaCoder, WizardCoder-15B. Multi-query attention, learned positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from starfill.engine.kv.attention import state_dtype
from starfill.engine.kv.kv_cache import KVShape
from starfill.engine.models.activation import ACTIVATIONS, check_activation
from starfill.engine.models.decoder import Decoder, Rows
from starfill.engine.models.fused import Parts
from starfill.engine.models.norm import LayerNorm
from starfill.engine.models.parameters import ParameterSource, field, half
from starfill.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Config:
    """The fields of config.json, under their names there."""

    n_layer: int
    n_embd: int
    n_head: int
    n_inner: int
    n_positions: int
    vocab_size: int
    layer_norm_epsilon: float
    activation: str
    half: torch.dtype

    @classmethod
    def parse(cls, raw: Mapping[str, Any], source: str) -> Config:
        """Raises CheckpointError naming the field that is missing or can't be run."""
        n_embd = field(raw, "n_embd", int, source)
        config = cls(
            n_layer=field(raw, "n_layer", int, source),
            n_embd=n_embd,
            n_head=field(raw, "n_head", int, source),
            n_inner=field(raw, "n_inner", int, source, default=4 * n_embd),
            n_positions=field(raw, "n_positions", int, source),
            vocab_size=field(raw, "vocab_size", int, source),
            layer_norm_epsilon=field(raw, "layer_norm_epsilon", float, source, default=1e-5),
            activation=field(raw, "activation_function", str, source, default="gelu_pytorch_tanh"),
            half=half(raw),
        )
        if not raw.get("multi_query", True):
            raise CheckpointError(
                f"multi_query is false in {source}: Starfill runs multi-query gpt_bigcode models only"
            )
        check_activation(config.activation, "activation_function", source)
        if config.n_embd % config.n_head:
            raise CheckpointError(f"n_embd {n_embd} in {source} is no multiple of n_head {config.n_head}")
        return config

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    @property
    def context_length(self) -> int:
        return self.n_positions

    def kv_shape(self, quantized: bool, device: torch.device) -> KVShape:
        dtype = state_dtype(quantized, self.head_dim, device, self.half)
        return KVShape(self.n_layer, 1, self.head_dim, dtype, device)

    def linears(self) -> dict[str, tuple[int, int]]:
        """(in_features, out_features) of each quantizable layer by name."""
        d, kv = self.n_embd, 2 * self.head_dim
        shapes = {
            "attn.c_attn": (d, d + kv),
            "attn.c_proj": (d, d),
            "mlp.c_fc": (d, self.n_inner),
            "mlp.c_proj": (self.n_inner, d),
        }
        return {f"transformer.h.{i}.{name}": shape for i in range(self.n_layer) for name, shape in shapes.items()}


_PARTS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


class Block:
    def __init__(self, config: Config, source: ParameterSource, layer: int) -> None:
        name = f"transformer.h.{layer}"
        shapes = config.linears()
        linear = {part: source.linear(f"{name}.{part}", *shapes[f"{name}.{part}"], bias=True) for part in _PARTS}
        self.layer = layer
        self.head_dim = config.head_dim
        self.n_embd = config.n_embd
        self.ln_1 = LayerNorm(source, f"{name}.ln_1", config.n_embd, config.layer_norm_epsilon)
        self.ln_2 = LayerNorm(source, f"{name}.ln_2", config.n_embd, config.layer_norm_epsilon)
        self.c_attn, self.c_proj = linear["attn.c_attn"], linear["attn.c_proj"]
        self.c_fc, self.c_out = linear["mlp.c_fc"], linear["mlp.c_proj"]
        self.activation = ACTIVATIONS[config.activation]

    def parts(self) -> Parts:
        return Parts(
            self.ln_1, (self.c_attn,), self.c_proj, self.ln_2, False, (self.c_fc,), self.c_out, self.activation
        )

    def __call__(self, x: torch.Tensor, rows: Rows) -> torch.Tensor:
        qkv = self.c_attn(self.ln_1(x)).to(x.dtype)
        q, k, v = qkv.split_with_sizes([self.n_embd, self.head_dim, self.head_dim], dim=1)
        q = q.view(x.shape[0], -1, self.head_dim)
        mixed = rows.attend(self.layer, q, k[None], v[None], self.head_dim**-0.5)
        x = x + self.c_proj(mixed)
        return x + self.c_out(self.activation(self.c_fc(self.ln_2(x))))


class Model(Decoder):
    def __init__(self, config: Config, source: ParameterSource) -> None:
        self.config = config
        size = (config.vocab_size, config.n_embd)
        self.wte = source.table("transformer.wte.weight", size)
        self.wpe = source.table("transformer.wpe.weight", (config.n_positions, config.n_embd))
        blocks = [Block(config, source.at(layer), layer) for layer in range(config.n_layer)]
        end = source.at(-1)
        norm = LayerNorm(end, "transformer.ln_f", config.n_embd, config.layer_norm_epsilon)
        super().__init__(config, source, blocks, (norm, end.head("lm_head.weight", "transformer.wte.weight", size)))

    def embed(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return self.wte[ids].float() + self.wpe[positions].float()
