"""A model of random weights, made where it runs: nothing is written, read or copied."""

from __future__ import annotations

import copy
import zlib
from dataclasses import dataclass, replace

import torch

from checkpoints import layout as layouts
from checkpoints.layout import Layout
from checkpoints.shapes import Shape
from starfill.engine.linear import cuda
from starfill.engine.linear.reference import Packed
from starfill.engine.linear.select import Linear
from starfill.engine.loading.opened_checkpoint import ARCHITECTURES
from starfill.engine.model import LanguageModel
from starfill.jobs import ModelInfo

SPREAD = 0.02  # of embedding tables, small beside what the layers add, so that no token predicts itself
PARTS = ("qweight", "qzeros", "scales", "g_idx")


@dataclass(slots=True)
class Tally:
    """Bytes. read: by every pass; held: with the tables, of which a pass reads a row."""

    read: int = 0
    held: int = 0


class RandomSource:
    """See `ParameterSource` in starfill/engine/models/parameters.py."""

    quantized = True

    def __init__(self, shape: Shape, layout: Layout, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.devices = (device,) * layers(shape)
        self.tally = Tally()
        self._shape, self._layout = shape, layout

    def at(self, layer: int) -> RandomSource:
        return copy.copy(self)

    def has(self, name: str) -> bool:
        return name in self._shape.plain()

    def tensor(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        made = torch.randn(shape, device=self.device, generator=self._generator(name)).mul_(0.1)
        return self._held(made.add_(1) if name.endswith("weight") else made, read=True)

    def table(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return self._held(self._random(name, shape), read=False)

    def linear(self, name: str, in_features: int, out_features: int, bias: bool) -> Linear:
        layer = random_layer(self._layout, in_features, out_features, self.device, self._generator(name), bias)
        if (
            self._layout.desc_act
        ):  # the order follows from the inputs, in GPTQ: it is the same for all who have the same
            order = torch.randperm(in_features, device=self.device, generator=self._generator(str(in_features)))
            layer = replace(layer, g_idx=layer.g_idx.sort().values[order])
        return self._counted(cuda.pack(layer, self.device, self.dtype))

    def head(self, name: str, tied: str | None, shape: tuple[int, ...]) -> Linear:
        return self._counted(cuda.pack_head(self._random(tied or name, shape), self.device, self.dtype))

    def _random(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        generator = self._generator(name)
        return torch.randn(shape, device=self.device, dtype=self.dtype, generator=generator).mul_(SPREAD)

    def _generator(self, name: str) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(zlib.crc32(name.encode()))

    def _held(self, tensor: torch.Tensor, read: bool) -> torch.Tensor:
        self.tally.held += tensor.nbytes
        self.tally.read += tensor.nbytes if read else 0
        return tensor

    def _counted(self, linear: Linear) -> Linear:
        self.tally.held += linear.nbytes
        self.tally.read += linear.nbytes
        return linear


def random_layer(
    layout: Layout,
    in_features: int,
    out_features: int,
    device: torch.device,
    generator: torch.Generator,
    bias: bool = False,
) -> Packed:
    """A checkpoint's layer of random codes, as `checkpoints/layout.py` makes them, on the device."""
    with device:
        made = layouts.linear("", in_features, out_features, layout, generator)
    qweight, qzeros, scales, g_idx = (made[f".{part}"].to(device) for part in PARTS)
    offset = 1 if layout.checkpoint_format == "gptq" else 0
    return Packed(qweight, qzeros, scales, g_idx, made[".bias"] if bias else None, layout.bits, offset)


@dataclass(frozen=True, slots=True)
class Built:
    """A model, and what it takes. flops: of the linears, for one token of a prompt."""

    model: LanguageModel
    info: ModelInfo
    tally: Tally
    flops: int
    heads: int

    def prefill_flops(self, tokens: int) -> int:
        """Of a cold prompt: the linears, the scores and sums of attention (each key is seen by half of the rows)."""
        kv = self.model.kv_shape
        return self.flops * tokens + 2 * self.heads * kv.head_dim * tokens * tokens * kv.layers


def build(name: str, shape: Shape, layout: Layout, device: torch.device, dtype: torch.dtype) -> Built:
    raw = shape.config_json()
    architecture = ARCHITECTURES[raw["model_type"]]
    config = architecture.Config.parse(raw, name)
    source = RandomSource(shape, layout, device, dtype)
    with torch.inference_mode():
        model: LanguageModel = architecture.Model(config, source)
    info = ModelInfo(
        name,
        raw["model_type"],
        str(device),
        "cuda",
        config.context_length,
        config.vocab_size,
        model.kv_shape.bytes_per_token,
        source.tally.held,
    )
    flops = sum(2 * rows * columns for rows, columns in shape.linears().values())
    return Built(model, info, source.tally, flops, config.n_head)


def layers(shape: Shape) -> int:
    raw = shape.config_json()
    return int(raw.get("n_layer") or raw["num_hidden_layers"])


def fitting(shape: Shape, layout: Layout, free: int) -> int:
    """How many layers fit into so many bytes, beside table and head; at most all of them."""
    count = layers(shape)
    codes = sum(rows * columns for rows, columns in shape.linears().values()) * layout.bits // 8
    scales = sum(3 * layout.groups(rows) * columns for rows, columns in shape.linears().values())
    tables = sum(4 * rows * columns for rows, columns in (size for size in shape.plain().values() if len(size) == 2))
    return max(1, min(count, int((free - tables) * count // (codes + scales))))
