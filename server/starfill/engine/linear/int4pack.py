"""GPTQ linears on the CPU where our own kernels can't run: torch's int4 product with bfloat16 activations.

`_weight_int4pack_mm_for_cpu` computes, with codes 0..15 and per group g of input rows a scale and an offset in bf16,

    y[m, n] = sum_k x[m, k] * ((q[k, n] - 8) * scale[g, n] + offset[g, n]),      hence offset = (8 - zero) * scale

Each row of y has the same bits however many rows are computed at once, so a warm answer equals the cold one. (A float32
or bf16 matrix product doesn't have that property, which is why prefill doesn't use one.)

3-bit codes are 4-bit codes below 8. An 8-bit code is 16 * high + low, two such products. Under desc_act the input rows
are sorted by group when packing, and the activations with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from starfill.engine.linear.reference import LayerShape, Packed, codes
from starfill.engine.linear.rounding import BITS, head_groups, round_columns

GROUPS = (256, 128, 64, 32)  # group sizes that the operator takes, best first
COLUMNS = 256  # output features converted at a time, which limits the working memory
ALIGN = 16  # the operator needs a multiple of this many output features


@dataclass(frozen=True, slots=True)
class Int4Weight:
    """words uint8 [N, K / 2] in the operator's own order; scale_and_offset bf16 [groups, N, 2]."""

    words: torch.Tensor
    scale_and_offset: torch.Tensor


class Int4Linear:
    """y = x W + b, with W as one int4 product, or two for 8-bit codes. All rows are independent of each other, to the
    bit.
    """

    def __init__(
        self,
        parts: tuple[Int4Weight, ...],
        group_size: int,
        out_features: int,
        order: torch.Tensor | None,
        bias: torch.Tensor | None,
    ) -> None:
        self.parts = parts
        self.group_size = group_size
        self.out_features = out_features
        self.order = order  # int64 [K]: the input row at each place, None if unsorted
        self.bias = bias  # bf16 [N]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x float [T, K] -> bf16 [T, N]."""
        x = x.to(torch.bfloat16)
        if self.order is not None:
            x = x.index_select(1, self.order)
        first, *rest = self.parts
        y: torch.Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            x, first.words, self.group_size, first.scale_and_offset
        )
        for part in rest:
            y += torch.ops.aten._weight_int4pack_mm_for_cpu(x, part.words, self.group_size, part.scale_and_offset)
        if y.shape[1] != self.out_features:
            y = y[:, : self.out_features]
        return y if self.bias is None else y.add_(self.bias)

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors().values())

    def tensors(self) -> dict[str, torch.Tensor]:
        """The tensors from which `restore` makes the layer again, for the cache on disk."""
        found = {f"words.{i}": part.words for i, part in enumerate(self.parts)}
        found |= {f"scale_and_offset.{i}": part.scale_and_offset for i, part in enumerate(self.parts)}
        if self.order is not None:
            found["order"] = self.order
        if self.bias is not None:
            found["bias"] = self.bias
        return found


def restore(tensors: dict[str, torch.Tensor], out_features: int) -> Int4Linear:
    parts = tuple(
        Int4Weight(tensors[f"words.{i}"], tensors[f"scale_and_offset.{i}"]) for i in range(2) if f"words.{i}" in tensors
    )
    in_features = parts[0].words.shape[1] * 2
    group_size = in_features // parts[0].scale_and_offset.shape[0]
    return Int4Linear(parts, group_size, out_features, tensors.get("order"), tensors.get("bias"))


def kernel_group(in_features: int, groups: int) -> int | None:
    """The operator's group size for equal groups of input rows; None if it can't take them."""
    rows = in_features // groups
    return next((size for size in GROUPS if rows % size == 0), None)


def packed_nbytes(shape: LayerShape) -> int:
    """Bytes of a packed layer whose groups `kernel_group` takes (`select` sees to it)."""
    group = kernel_group(shape.in_features, shape.groups)
    assert group is not None
    rows = -(-shape.out_features // ALIGN) * ALIGN
    parts = 2 if shape.bits == 8 else 1
    words = rows * shape.in_features // 2
    scales = shape.in_features // group * rows * 4  # a scale and an offset in bf16
    order, bias = 8 * shape.in_features * shape.ordered, 2 * shape.out_features * shape.bias
    return parts * (words + scales) + order + bias


def pack(layer: Packed) -> Int4Linear:
    """Pack a checkpoint's layer. Groups must have equal size (`select` sees to it)."""
    groups = layer.scales.shape[0]
    group_size = kernel_group(layer.in_features, groups)
    assert group_size is not None
    order = None
    if groups > 1 and not bool((layer.g_idx[1:] >= layer.g_idx[:-1]).all()):
        order = torch.argsort(layer.g_idx, stable=True)
    parts = _by_columns(
        layer.out_features,
        lambda start, stop: _pack_columns(layer.columns(start, stop), order, group_size),
    )
    bias = None if layer.bias is None else layer.bias.to(torch.bfloat16)
    return Int4Linear(parts, group_size, layer.out_features, order, bias)


def pack_head(weight: torch.Tensor) -> Int4Linear:
    """An unquantized output head [N, K], rounded to 8 bits."""
    rows = weight.shape[1]
    group_size = kernel_group(rows, head_groups(rows)) or rows
    parts = _by_columns(len(weight), lambda start, stop: _head_columns(weight[start:stop], group_size))
    return Int4Linear(parts, group_size, len(weight), None, None)


def _by_columns(out_features: int, convert: Callable[[int, int], tuple[Int4Weight, ...]]) -> tuple[Int4Weight, ...]:
    """Convert all output features with `convert`, slice by slice, so that nothing is held twice."""
    merged: tuple[Int4Weight, ...] = ()
    for start in range(0, out_features, COLUMNS):
        parts = convert(start, min(start + COLUMNS, out_features))
        merged = merged or tuple(_allocate(part, out_features) for part in parts)
        for whole, part in zip(merged, parts, strict=True):
            stop = start + len(part.words)
            whole.words[start:stop] = part.words
            whole.scale_and_offset[:, start:stop] = part.scale_and_offset
    return merged


def _allocate(part: Int4Weight, out_features: int) -> Int4Weight:
    rows = -(-out_features // ALIGN) * ALIGN
    groups = len(part.scale_and_offset)
    return Int4Weight(part.words.new_empty(rows, part.words.shape[1]), part.scale_and_offset.new_empty(groups, rows, 2))


def _head_columns(weight: torch.Tensor, group_size: int) -> tuple[Int4Weight, ...]:
    q, scale = round_columns(weight, group_size)
    return _int4_parts(q, scale, torch.full_like(scale, 128), BITS)


def _pack_columns(layer: Packed, order: torch.Tensor | None, group_size: int) -> tuple[Int4Weight, ...]:
    q, zero, _ = codes(layer)
    q = q if order is None else q[order]
    repeat = layer.in_features // layer.scales.shape[0] // group_size
    scale = layer.scales.float().repeat_interleave(repeat, 0)
    return _int4_parts(q.t(), scale, zero.float().repeat_interleave(repeat, 0), layer.bits)


def _int4_parts(q: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, bits: int) -> tuple[Int4Weight, ...]:
    """q int32 [N, K], scale and zero float32 [groups, N] -> one weight, or the high and the low one for 8 bits.

    8 bits: s * (16 high + low - zero) = 16 s * (high - 8) + s * (low - 8) + s * (136 - zero).
    """
    if bits < 8:
        return (_int4_part(q, scale, (8 - zero) * scale),)
    return (
        _int4_part(q >> 4, 16 * scale, (136 - zero) * scale),
        _int4_part(q & 15, scale, torch.zeros_like(scale)),
    )


def _int4_part(q: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor) -> Int4Weight:
    missing = -q.shape[0] % ALIGN
    if missing:
        q = torch.nn.functional.pad(q, (0, 0, 0, missing), value=8)
        scale, offset = (torch.nn.functional.pad(part, (0, missing)) for part in (scale, offset))
    words = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q.contiguous(), 1)
    return Int4Weight(words, torch.stack([scale, offset], dim=-1).to(torch.bfloat16).contiguous())
