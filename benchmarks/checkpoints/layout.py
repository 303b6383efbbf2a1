"""From a shape and a quantization to the tensors of a checkpoint: first their dtypes and shapes, then random values."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch

from checkpoints.shapes import Shape


@dataclass(frozen=True)
class Layout:
    """Quantization settings, named as in quantize_config.json; bits 0: unquantized.

    zero_biases: a bias of zeros for layers that have none; stored_head: a second copy of a tied embedding table as
    `lm_head.weight`. Auto-gptq writes both.
    """

    bits: int = 4
    group_size: int = 128
    desc_act: bool = False
    checkpoint_format: str = "gptq"
    sym: bool = True
    zero_biases: bool = False
    stored_head: bool = False

    def settings(self) -> dict[str, Any]:
        """quantize_config.json, the fields that every version of auto-gptq writes."""
        named = {"bits": self.bits, "group_size": self.group_size, "damp_percent": 0.1}
        return {**named, "desc_act": self.desc_act, "sym": self.sym, "true_sequential": True}

    def groups(self, in_features: int) -> int:
        return 1 if self.group_size == -1 else in_features // self.group_size


class Entry(NamedTuple):
    """A tensor's entry in a safetensors header."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        size = {"I32": 4, "F32": 4, "F16": 2}[self.dtype]
        for length in self.shape:
            size *= length
        return size


def entries(shape: Shape, layout: Layout) -> dict[str, Entry]:
    """All tensors of a checkpoint."""
    real = "F16" if layout.bits else "F32"
    found = {name: Entry(real, size) for name, size in shape.plain().items()}
    if shape.tied and layout.stored_head:
        found["lm_head.weight"] = Entry(real, found[_table(shape)].shape)
    for name, (rows, columns) in shape.linears().items():
        groups, bits = layout.groups(rows), layout.bits
        if bits:
            found[f"{name}.qweight"] = Entry("I32", (rows * bits // 32, columns))
            found[f"{name}.qzeros"] = Entry("I32", (groups, columns * bits // 32))
            found[f"{name}.scales"] = Entry("F16", (groups, columns))
            found[f"{name}.g_idx"] = Entry("I32", (rows,))
        else:
            found[f"{name}.weight"] = Entry(real, (columns, rows))
        if shape.biased(name) or (bits and layout.zero_biases):
            found[f"{name}.bias"] = Entry(real, (columns,))
    return found


def values(shape: Shape, layout: Layout, seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    """The tensors, one linear layer (or one other tensor) at a time: a checkpoint of any size can be written."""
    real = torch.float16 if layout.bits else torch.float32
    for name, size in shape.plain().items():
        rng = _generator(name, seed)
        tensor = torch.randn(size, generator=rng).mul_(0.02 if name == "transformer.wpe.weight" else 0.1)
        if len(size) == 1 and name.endswith("weight"):  # of a norm
            tensor += 1
        yield {name: tensor.to(real)}
        if name == _table(shape) and shape.tied and layout.stored_head:
            yield {"lm_head.weight": tensor.to(real)}
    for name, (rows, columns) in shape.linears().items():
        tensors = linear(name, rows, columns, layout, _generator(name, seed))
        if not shape.biased(name):
            tensors[f"{name}.bias"].zero_()
            if not (layout.bits and layout.zero_biases):
                del tensors[f"{name}.bias"]
        yield tensors


def linear(name: str, rows: int, columns: int, layout: Layout, rng: torch.Generator) -> dict[str, torch.Tensor]:
    """One layer's tensors, with a bias; its output has about the size of its input."""
    bias = torch.randn(columns, generator=rng).mul_(0.02).half()
    if not layout.bits:
        weight = torch.randn(columns, rows, generator=rng).mul_(rows**-0.5)
        return {f"{name}.weight": weight, f"{name}.bias": bias.float()}
    groups = layout.groups(rows)
    g_idx = torch.arange(rows, dtype=torch.int32) // (rows // groups)
    if layout.desc_act:
        g_idx = g_idx[torch.randperm(rows, generator=rng)]

    def words(*size: int) -> torch.Tensor:
        return torch.randint(-(2**31), 2**31 - 1, size, dtype=torch.int32, generator=rng)

    symmetric = _zeros(columns, 2 ** (layout.bits - 1) - (layout.checkpoint_format == "gptq"), layout.bits)
    spread = 2**layout.bits / 12**0.5  # standard deviation of uniform codes
    scales = (torch.rand(groups, columns, generator=rng) + 0.5) * rows**-0.5 / spread
    return {
        f"{name}.qweight": words(rows * layout.bits // 32, columns),
        f"{name}.qzeros": symmetric.repeat(groups, 1) if layout.sym else words(groups, columns * layout.bits // 32),
        f"{name}.scales": scales.half(),
        f"{name}.g_idx": g_idx,
        f"{name}.bias": bias,
    }


def pack_row(values: torch.Tensor, bits: int) -> torch.Tensor:
    """int64 [N] -> int32 [N * bits / 32], value i at bit i * bits, low bits first."""
    stream = sum(int(value) << (i * bits) for i, value in enumerate(values.tolist()))
    size = len(values) * bits // 8
    return torch.frombuffer(bytearray(stream.to_bytes(size, "little")), dtype=torch.int32)


@cache
def _zeros(columns: int, zero: int, bits: int) -> torch.Tensor:
    """One row of zero points that are all the same; a wide one takes long to pack."""
    return pack_row(torch.full((columns,), zero, device="cpu"), bits)


def _table(shape: Shape) -> str:
    """The embedding table's name."""
    return next(iter(shape.plain()))


def _generator(name: str, seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(name.encode()) ^ seed)
