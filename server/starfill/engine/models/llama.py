"""llama: CodeLlama, WizardCoder-Python, DeepSeek-Coder; also mistral (Codestral) and qwen2 (Qwen2.5-Coder), which
differ only in their configuration. Grouped-query attention, rotary positions, RMSNorm, SwiGLU.
"""

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
from starfill.engine.models.merged_linears import MergedLinears
from starfill.engine.models.norm import RMSNorm
from starfill.engine.models.parameters import ParameterSource, field, half
from starfill.engine.models.rotary import Rope, Rotary
from starfill.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Config:
    """The fields of config.json. window: the sliding window of every layer; None if there is none."""

    n_layer: int
    n_embd: int
    n_head: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    context_length: int
    rms_norm_eps: float
    activation: str
    rope: Rope
    window: int | None
    qkv_bias: bool
    o_bias: bool
    mlp_bias: bool
    tied: bool
    half: torch.dtype

    @classmethod
    def parse(cls, raw: Mapping[str, Any], source: str) -> Config:
        """Raises CheckpointError naming the field that is missing or can't be run."""
        kind = raw.get("model_type")
        hidden = field(raw, "hidden_size", int, source)
        heads = field(raw, "num_attention_heads", int, source)
        kv_heads = field(raw, "num_key_value_heads", int, source, default=heads)
        positions = field(raw, "max_position_embeddings", int, source)
        activation = field(raw, "hidden_act", str, source, default="silu")
        check_activation(activation, "hidden_act", source)
        if heads % kv_heads:
            raise CheckpointError(f"num_attention_heads {heads} in {source} is no multiple of its {kv_heads} KV heads")
        window = _window(raw, source)
        attention_bias = bool(raw.get("attention_bias", False))
        return cls(
            n_layer=field(raw, "num_hidden_layers", int, source),
            n_embd=hidden,
            n_head=heads,
            kv_heads=kv_heads,
            head_dim=field(raw, "head_dim", int, source, default=hidden // heads),
            intermediate_size=field(raw, "intermediate_size", int, source),
            vocab_size=field(raw, "vocab_size", int, source),
            # In qwen2 only some layers have a window. Up to its length all layers behave the same.
            context_length=min(positions, window) if window and kind == "qwen2" else positions,
            rms_norm_eps=field(raw, "rms_norm_eps", float, source, default=1e-6),
            activation=activation,
            rope=Rope.parse(raw, positions, source),
            window=None if kind == "qwen2" else window,
            qkv_bias=attention_bias or kind == "qwen2",
            o_bias=attention_bias,
            mlp_bias=bool(raw.get("mlp_bias", False)),
            tied=bool(raw.get("tie_word_embeddings", False)),
            half=half(raw),
        )

    @property
    def heads(self) -> Heads:
        return Heads(self.n_embd, self.n_head, self.kv_heads, self.head_dim)

    def kv_shape(self, quantized: bool, device: torch.device) -> KVShape:
        dtype = state_dtype(quantized, self.head_dim, device, self.half)
        return KVShape(self.n_layer, self.kv_heads, self.head_dim, dtype, device)

    def linears(self) -> dict[str, tuple[int, int]]:
        """(in_features, out_features) of each quantizable layer by name."""
        shapes = {f"self_attn.{part}": shape for part, shape in self.heads.linears().items()}
        shapes |= {f"mlp.{part}": shape for part, shape in self.mlp_linears().items()}
        return {f"model.layers.{i}.{name}": shape for i in range(self.n_layer) for name, shape in shapes.items()}

    def mlp_linears(self) -> dict[str, tuple[int, int]]:
        d, inner = self.n_embd, self.intermediate_size
        return {"gate_proj": (d, inner), "up_proj": (d, inner), "down_proj": (inner, d)}


def _window(raw: Mapping[str, Any], source: str) -> int | None:
    """The sliding window. llama has none; mistral has one in all layers, unless it is null; qwen2 if it is switched
    on.
    """
    kind = raw.get("model_type")
    if kind == "mistral" and "sliding_window" not in raw:
        return 4096  # as in the architecture's first version, also if config.json doesn't say so
    used = kind == "mistral" or (kind == "qwen2" and raw.get("use_sliding_window", False))
    return field(raw, "sliding_window", int, source) if used and raw.get("sliding_window") is not None else None


class Block:
    def __init__(self, config: Config, source: ParameterSource, layer: int) -> None:
        name = f"model.layers.{layer}"
        self.input_norm = RMSNorm(source, f"{name}.input_layernorm", config.n_embd, config.rms_norm_eps)
        self.attention = GroupedQueryAttention(
            source, f"{name}.self_attn", layer, config.heads, config.qkv_bias, config.o_bias
        )
        self.mlp_norm = RMSNorm(source, f"{name}.post_attention_layernorm", config.n_embd, config.rms_norm_eps)
        gate, up, self.down = (
            source.linear(f"{name}.mlp.{part}", *shape, bias=config.mlp_bias)
            for part, shape in config.mlp_linears().items()
        )
        self.gate_up = MergedLinears((gate, up), [config.intermediate_size] * 2)
        self.activation = ACTIVATIONS[config.activation]

    def parts(self) -> Parts:
        a = self.attention
        return Parts(
            self.input_norm,
            a.qkv.linears,
            a.o,
            self.mlp_norm,
            True,
            self.gate_up.linears,
            self.down,
            self.activation,
        )

    def __call__(self, x: torch.Tensor, rows: Rows) -> torch.Tensor:
        x = x + self.attention(self.input_norm(x), rows)
        gate, up = self.gate_up(self.mlp_norm(x))
        return x + self.down(self.activation(gate) * up)


class Model(Decoder):
    def __init__(self, config: Config, source: ParameterSource) -> None:
        self.config = config
        size = (config.vocab_size, config.n_embd)
        self.embed_tokens = source.table("model.embed_tokens.weight", size)
        self.rotary = Rotary(config.rope, config.head_dim, config.context_length, source.device)
        blocks = [Block(config, source.at(layer), layer) for layer in range(config.n_layer)]
        end = source.at(-1)
        norm = RMSNorm(end, "model.norm", config.n_embd, config.rms_norm_eps)
        head = end.head("lm_head.weight", "model.embed_tokens.weight" if config.tied else None, size)
        super().__init__(config, source, blocks, (norm, head), config.window)

    def embed(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return self.embed_tokens[ids].float()

    def rotation(self, positions: torch.Tensor) -> Rotation:
        return self.rotary(positions)
