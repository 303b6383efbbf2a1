"""Small models with random parameters and a GPU's linears, on the CPU through Triton's interpreter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from checkpoints.random_checkpoint import Layout
from checkpoints.random_checkpoint import linear as random_linear
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.linear.cuda import CudaLinear, pack, pack_head
from starfill.engine.linear.reference import Packed, dequantize
from starfill.engine.linear.select import Linear
from starfill.engine.loading.opened_checkpoint import ARCHITECTURES
from starfill.engine.models.decoder import Decoder

BIGCODE: dict[str, Any] = {
    "model_type": "gpt_bigcode",
    "n_embd": 96,
    "n_inner": 128,
    "n_layer": 2,
    "n_head": 3,
    "n_positions": 512,
    "vocab_size": 64,
}
LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "vocab_size": 64,
}
STARCODER2 = LLAMA | {"model_type": "starcoder2", "sliding_window": 150}
CPU = torch.device("cpu")
LAYOUT = Layout(4, 32, True)


@dataclass(frozen=True, eq=False)
class Plain(CudaLinear):
    """The same contract without a kernel, since the interpreter takes its time: weight float32 [K, N], two parts."""

    weight: torch.Tensor

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype) -> Plain:
        nothing = torch.empty(0)
        return cls(nothing, nothing, None, None, bias, 4, *weight.shape, dtype, weight)

    def parts(self, x: torch.Tensor) -> torch.Tensor:
        assert x.dtype == self.dtype and x.is_contiguous() and len(x) <= 16
        k = self.in_features // 2
        return torch.stack(
            [
                torch.stack([row @ weight for row in half])
                for half, weight in zip(x.float().split(k, 1), self.weight.split(k), strict=True)
            ]
        )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y = x.to(self.dtype).float() @ self.weight
        return (y if self.bias is None else y + self.bias).to(self.dtype)


class RandomSource:
    """See models/source.py. packed: the layout of a GPU's own linears; without one they are `Plain`."""

    quantized = True
    device = CPU

    def __init__(self, layers: int, dtype: torch.dtype, packed: Layout | None) -> None:
        self.devices = (CPU,) * layers
        self._dtype, self._packed = dtype, packed
        self._rng = torch.Generator().manual_seed(1)

    def at(self, layer: int) -> RandomSource:
        return self

    def has(self, name: str) -> bool:
        return True

    def tensor(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=self._rng) * 0.1 + ("norm" in name or "ln_" in name)

    def table(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=self._rng).to(self._dtype)

    def linear(self, name: str, in_features: int, out_features: int, bias: bool) -> Linear:
        layout = self._packed or LAYOUT
        made = random_linear(name, in_features, out_features, layout, self._rng)
        if layout.desc_act:  # the order follows from the inputs, in GPTQ: it is the same for all who have the same
            order = torch.randperm(in_features, generator=torch.Generator().manual_seed(in_features))
            made[f"{name}.g_idx"] = made[f"{name}.g_idx"].sort().values[order]
        tensors = {part: made[f"{name}.{part}"] for part in ("qweight", "qzeros", "scales", "g_idx")}
        layer = Packed(**tensors, bias=made[f"{name}.bias"] if bias else None, bits=layout.bits, zero_offset=1)
        if self._packed:
            return pack(layer, CPU, self._dtype)
        return Plain.of(dequantize(layer).float(), None if layer.bias is None else layer.bias.float(), self._dtype)

    def head(self, name: str, tied: str | None, shape: tuple[int, ...]) -> Linear:
        weight = torch.randn(shape, generator=self._rng) * shape[1] ** -0.5
        return pack_head(weight, CPU, self._dtype) if self._packed else Plain.of(weight.t(), None, self._dtype)


def random_model(fields: dict[str, Any], packed: Layout | None = None, dtype: torch.dtype = torch.float16) -> Decoder:
    """fields: a config.json. Its KV states are in `dtype`."""
    module = ARCHITECTURES[fields["model_type"]]
    config = module.Config.parse(fields, "config.json")
    model: Decoder = module.Model(config, RandomSource(config.n_layer, dtype, packed))
    model.kv_shape = replace(model.kv_shape, dtype=dtype)
    return model


def some_ids(count: int, seed: int = 1, vocabulary: int = 64) -> torch.Tensor:
    return torch.randint(0, vocabulary, (count,), generator=torch.Generator().manual_seed(seed))


def random_cache(model: Decoder, length: int, seed: int = 3) -> KVCache:
    """A cache as if `length` tokens had been computed: there it holds numbers such as they leave."""
    cache, rng = KVCache(model.kv_shape), torch.Generator().manual_seed(seed)
    cache.reserve(max(length, 1))
    shape = (model.kv_shape.kv_heads, length, model.kv_shape.head_dim)
    for layer in range(model.kv_shape.layers):
        keys, values = (torch.randn(shape, generator=rng).to(model.kv_shape.dtype) for _ in range(2))
        cache.write(layer, keys, values)
    cache.advance(length)
    return cache


def same(cache: KVCache, other: KVCache) -> bool:
    return cache.length == other.length and all(map(torch.equal, cache.layers(), other.layers()))
