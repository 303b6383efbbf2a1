"""gpt_bigcode: StarCoder, StarCoderBase, SantaCoder, WizardCoder-15B. Multi-query attention, learned positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from starfill.engine.attention import attention, causal_mask
from starfill.engine.kv_cache import KVCache, KVShape
from starfill.engine.models.source import Source, field
from starfill.errors import CheckpointError

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "gelu_fast": partial(F.gelu, approximate="tanh"),
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
    "relu": F.relu,
}


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
        )
        if not raw.get("multi_query", True):
            raise CheckpointError(
                f"multi_query is false in {source}: Starfill runs multi-query gpt_bigcode models only"
            )
        if config.activation not in ACTIVATIONS:
            raise CheckpointError(
                f"activation_function {config.activation!r} in {source} is not supported:"
                f" Starfill runs {', '.join(ACTIVATIONS)}"
            )
        if config.n_embd % config.n_head:
            raise CheckpointError(f"n_embd {n_embd} in {source} is no multiple of n_head {config.n_head}")
        return config

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    @property
    def context_length(self) -> int:
        return self.n_positions

    def kv_shape(self, dtype: torch.dtype, device: torch.device) -> KVShape:
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


class Norm:
    def __init__(self, source: Source, name: str, size: int, eps: float) -> None:
        self.weight = source.tensor(f"{name}.weight", (size,))
        self.bias = source.tensor(f"{name}.bias", (size,))
        self.eps = eps

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class Block:
    def __init__(self, config: Config, source: Source, layer: int) -> None:
        name = f"transformer.h.{layer}"
        shapes = config.linears()
        linear = {part: source.linear(f"{name}.{part}", *shapes[f"{name}.{part}"]) for part in _PARTS}
        self.layer = layer
        self.head_dim = config.head_dim
        self.n_embd = config.n_embd
        self.ln_1 = Norm(source, f"{name}.ln_1", config.n_embd, config.layer_norm_epsilon)
        self.ln_2 = Norm(source, f"{name}.ln_2", config.n_embd, config.layer_norm_epsilon)
        self.c_attn, self.c_proj = linear["attn.c_attn"], linear["attn.c_proj"]
        self.c_fc, self.c_out = linear["mlp.c_fc"], linear["mlp.c_proj"]
        self.activation = ACTIVATIONS[config.activation]

    def __call__(self, x: torch.Tensor, cache: KVCache, mask: torch.Tensor) -> torch.Tensor:
        """x [T, n_embd] float32, the residual stream."""
        qkv = self.c_attn(self.ln_1(x)).to(x.dtype)
        q, k, v = torch.split(qkv, [self.n_embd, self.head_dim, self.head_dim], dim=1)
        keys, values = cache.write(self.layer, k[None], v[None])
        mixed = attention(q.view(len(x), -1, self.head_dim), keys, values, mask, self.head_dim**-0.5)
        x = x + self.c_proj(mixed)
        return x + self.c_out(self.activation(self.c_fc(self.ln_2(x))))


_PARTS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


class Model:
    """Decoder over token ids. The residual stream, norms and attention are float32, whatever the linears use."""

    def __init__(self, config: Config, source: Source) -> None:
        self.config = config
        size = (config.vocab_size, config.n_embd)
        self.wte = source.table("transformer.wte.weight", size)
        self.wpe = source.table("transformer.wpe.weight", (config.n_positions, config.n_embd))
        self.blocks = [Block(config, source, layer) for layer in range(config.n_layer)]
        self.ln_f = Norm(source, "transformer.ln_f", config.n_embd, config.layer_norm_epsilon)
        self.lm_head = source.head("lm_head.weight", "transformer.wte.weight", size)
        self.kv_shape = config.kv_shape(torch.float32, source.device)

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor:
        """Compute ids int64 [T] behind the cache and keep their KV; logits float32 [last, vocab] of the last ones."""
        start, tokens = cache.length, len(ids)
        cache.reserve(tokens)
        mask = causal_mask(start, tokens, ids.device)
        x = self.wte[ids].float() + self.wpe[start : start + tokens].float()
        for block in self.blocks:
            x = block(x, cache, mask)
        logits = self.lm_head(self.ln_f(x[tokens - last :])).float() if last else x[:0]
        cache.advance(tokens)
        return logits
