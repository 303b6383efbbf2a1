"""starcoder2: StarCoder2 3B, 7B and 15B. Grouped-query attention in a sliding window, rotary positions, LayerNorm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from starfill.engine.kv.attention import state_dtype
from starfill.engine.kv.kv_cache import KVShape
from starfill.engine.models.activation import ACTIVATIONS, check_activation
from starfill.engine.models.decoder import Decoder, Rotation, Rows
from starfill.engine.models.fused import Parts
from starfill.engine.models.grouped_query import GroupedQueryAttention, Heads
from starfill.engine.models.norm import LayerNorm
from starfill.engine.models.parameters import ParameterSource, field, half
from starfill.engine.models.rotary import Rope, Rotary
from starfill.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Config:
    """The fields of config.json. window: the sliding window of every layer, None where there is none."""

    n_layer: int
    n_embd: int
    n_head: int
    kv_heads: int
    intermediate_size: int
    vocab_size: int
    context_length: int
    norm_epsilon: float
    activation: str
    rope: Rope
    window: int | None
    bias: bool
    tied: bool
    half: torch.dtype

    @classmethod
    def parse(cls, raw: Mapping[str, Any], source: str) -> Config:
        """Raises CheckpointError naming the field that is missing or can't be run."""
        hidden = field(raw, "hidden_size", int, source)
        heads = field(raw, "num_attention_heads", int, source)
        kv_heads = field(raw, "num_key_value_heads", int, source, default=2)
        positions = field(raw, "max_position_embeddings", int, source)
        activation = field(raw, "hidden_act", str, source, default="gelu_pytorch_tanh")
        check_activation(activation, "hidden_act", source)
        if heads % kv_heads:
            raise CheckpointError(f"num_attention_heads {heads} in {source} is no multiple of its {kv_heads} KV heads")
        if hidden % heads:
            raise CheckpointError(f"hidden_size {hidden} in {source} is no multiple of num_attention_heads {heads}")
        windowed = raw.get("sliding_window") is not None
        return cls(
            n_layer=field(raw, "num_hidden_layers", int, source),
            n_embd=hidden,
            n_head=heads,
            kv_heads=kv_heads,
            intermediate_size=field(raw, "intermediate_size", int, source),
            vocab_size=field(raw, "vocab_size", int, source),
            context_length=positions,
            norm_epsilon=field(raw, "norm_epsilon", float, source, default=1e-5),
            activation=activation,
            rope=Rope.parse(raw, positions, source),
            window=field(raw, "sliding_window", int, source) if windowed else None,
            bias=bool(raw.get("use_bias", True)),
            tied=bool(raw.get("tie_word_embeddings", True)),
            half=half(raw),
        )

    @property
    def heads(self) -> Heads:
        return Heads(self.n_embd, self.n_head, self.kv_heads, self.n_embd // self.n_head)

    def kv_shape(self, quantized: bool, device: torch.device) -> KVShape:
        dtype = state_dtype(quantized, self.heads.head_dim, device, self.half)
        return KVShape(self.n_layer, self.kv_heads, self.heads.head_dim, dtype, device)

    def linears(self) -> dict[str, tuple[int, int]]:
        """(in_features, out_features) of each quantizable layer by name."""
        shapes = {f"self_attn.{part}": shape for part, shape in self.heads.linears().items()}
        shapes |= {f"mlp.{part}": shape for part, shape in self.mlp_linears().items()}
        return {f"model.layers.{i}.{name}": shape for i in range(self.n_layer) for name, shape in shapes.items()}

    def mlp_linears(self) -> dict[str, tuple[int, int]]:
        d, inner = self.n_embd, self.intermediate_size
        return {"c_fc": (d, inner), "c_proj": (inner, d)}


class Block:
    def __init__(self, config: Config, source: ParameterSource, layer: int) -> None:
        name = f"model.layers.{layer}"
        size, eps = config.n_embd, config.norm_epsilon
        self.input_norm = LayerNorm(source, f"{name}.input_layernorm", size, eps)
        self.attention = GroupedQueryAttention(
            source, f"{name}.self_attn", layer, config.heads, config.bias, config.bias
        )
        self.mlp_norm = LayerNorm(source, f"{name}.post_attention_layernorm", size, eps)
        self.c_fc, self.c_proj = (
            source.linear(f"{name}.mlp.{part}", *shape, bias=config.bias)
            for part, shape in config.mlp_linears().items()
        )
        self.activation = ACTIVATIONS[config.activation]

    def parts(self) -> Parts:
        a = self.attention
        return Parts(
            self.input_norm, a.qkv.linears, a.o, self.mlp_norm, False, (self.c_fc,), self.c_proj, self.activation
        )

    def __call__(self, x: torch.Tensor, rows: Rows) -> torch.Tensor:
        x = x + self.attention(self.input_norm(x), rows)
        return x + self.c_proj(self.activation(self.c_fc(self.mlp_norm(x))))


class Model(Decoder):
    def __init__(self, config: Config, source: ParameterSource) -> None:
        self.config = config
        size = (config.vocab_size, config.n_embd)
        self.embed_tokens = source.table("model.embed_tokens.weight", size)
        self.rotary = Rotary(config.rope, config.heads.head_dim, config.context_length, source.device)
        blocks = [Block(config, source.at(layer), layer) for layer in range(config.n_layer)]
        end = source.at(-1)
        norm = LayerNorm(end, "model.norm", config.n_embd, config.norm_epsilon)
        head = end.head("lm_head.weight", "model.embed_tokens.weight" if config.tied else None, size)
        super().__init__(config, source, blocks, (norm, head), config.window)

    def embed(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return self.embed_tokens[ids].float()

    def rotation(self, positions: torch.Tensor) -> Rotation:
        return self.rotary(positions)
