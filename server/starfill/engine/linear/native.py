"""GPTQ linears on the CPU through our own kernels: int16 activations, exact integer sums.

The input is rounded to 16 bits in blocks of input rows, each with its own scale. A block never spans two groups. With
codes q, their middle (8, or 128 for 8 bits), and for each block a scale s and its rounded numbers a,

    y[m, n] = sum over blocks of s[m, b] * scale[g, n] * sum_k a[m, k] * (q[k, n] - zero[g, n]),    g the block's group

The inner sum is exact, so each row of y has the same bits however many rows are computed at once. Rounding to 16 bits
costs 100 times less accuracy than bfloat16 does. The layouts are described in engine/native/kernels.c. Under desc_act
the input rows are sorted by group when packing, and the activations with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from starfill.engine.linear.reference import LayerShape, Packed, codes
from starfill.engine.linear.rounding import BITS, head_groups, round_columns
from starfill.engine.native.library import native
from starfill.engine.native.structs import LinearWeights

TILE = 32  # output features in a tile
LAYOUT = 28  # bytes of a layer's own shape, stored beside its numbers
BLOCKS = (128, 64, 32)  # input features that share a scale of the activations, best first
COLUMNS = 256  # output features converted at a time, which limits the working memory


class NativeLinear:
    """y = x W + b. All rows are independent of each other, to the bit.

    words int32 [tiles, K * bits / 32, 32], scales fp16 and zeros int16 [tiles, groups, 32] (zeros minus the middle,
    None if all are 0), bias float32 [N], order int32 [K] or None if unsorted. gain multiplies the scales.
    """

    def __init__(self, tensors: dict[str, torch.Tensor], out_features: int) -> None:
        kernels = native()
        assert kernels is not None  # `select` sees to it
        self._kernels = kernels
        self._tensors = tensors
        bits, block, in_features = (int(number) for number in tensors["layout"])
        pointers = {name: t.data_ptr() for name, t in tensors.items() if name not in ("layout", "gain")}
        self.weights = LinearWeights(
            **pointers,
            gain=float(tensors["gain"]),
            bits=bits,
            in_features=in_features,
            out_features=out_features,
            block=block,
            blocks_per_group=in_features // block // tensors["scales"].shape[1],
        )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x float [T, K] -> float32 [T, N]."""
        return self._kernels.linear(self.weights, x.float())

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self._tensors.values())

    def tensors(self) -> dict[str, torch.Tensor]:
        """The tensors from which `restore` makes the layer again, for the cache on disk."""
        return self._tensors


def restore(tensors: dict[str, torch.Tensor], out_features: int) -> NativeLinear:
    return NativeLinear(tensors, out_features)


def block_of(in_features: int, groups: int) -> int | None:
    """How many input features share a scale of the activations; None if the kernel can't take such groups."""
    rows = in_features // groups
    return next((size for size in BLOCKS if rows % size == 0), None)


def packed_nbytes(shape: LayerShape) -> int:
    """Bytes of a packed layer. 3-bit codes are stored as 4-bit ones."""
    columns = -(-shape.out_features // TILE) * TILE
    words = columns * shape.in_features * max(shape.bits, 4) // 8
    scales = shape.groups * columns * (4 if shape.zeros else 2)
    order, bias = 4 * shape.in_features * shape.ordered, 4 * shape.out_features * shape.bias
    return words + scales + LAYOUT + order + bias


def pack(layer: Packed) -> NativeLinear:
    """Pack a checkpoint's layer. Groups must have equal size (`select` sees to it)."""
    order = None
    if len(layer.scales) > 1 and not bool((layer.g_idx[1:] >= layer.g_idx[:-1]).all()):
        order = torch.argsort(layer.g_idx, stable=True)
    bits = max(layer.bits, 4)
    raised = 4 if layer.bits == 3 else 0  # 3-bit codes become the eight in the middle of the 4-bit ones

    def columns(start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        part = layer.columns(start, stop)
        q, zero, _ = codes(part)
        return raised + (q if order is None else q[order]), part.scales, raised + zero - (1 << (bits - 1))

    tensors = _by_columns(layer.in_features, layer.out_features, bits, columns, _gain(layer.scales))
    if order is not None:
        tensors["order"] = order.to(torch.int32)
    if layer.bias is not None:
        tensors["bias"] = layer.bias.float()
    tensors["layout"] = _layout(bits, layer.in_features, len(layer.scales))
    return NativeLinear(tensors, layer.out_features)


def pack_head(weight: torch.Tensor) -> NativeLinear:
    """An unquantized output head [N, K], rounded to 8 bits."""
    out_features, in_features = weight.shape
    groups = head_groups(in_features)

    def columns(start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, scale = round_columns(weight[start:stop], in_features // groups)
        return q.t(), scale, torch.zeros_like(scale)

    gain = _gain(weight.abs().amax().reshape(1) / 127)
    tensors = _by_columns(in_features, out_features, BITS, columns, gain)
    tensors["layout"] = _layout(BITS, in_features, groups)
    return NativeLinear(tensors, out_features)


def _layout(bits: int, in_features: int, groups: int) -> torch.Tensor:
    block = block_of(in_features, groups)
    assert block is not None
    return torch.tensor([bits, block, in_features])


def _gain(scales: torch.Tensor) -> float:
    """A power of two that brings scales into the range where fp16 has its full precision; 1 for fp16 scales."""
    largest = float(scales.max())
    return 1.0 if scales.dtype == torch.float16 or largest <= 0 else 2.0 ** math.floor(math.log2(largest))


def _by_columns(
    in_features: int,
    out_features: int,
    bits: int,
    columns: Callable[[int, int], tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    gain: float,
) -> dict[str, torch.Tensor]:
    """Convert all output features, slice by slice, so that nothing is held twice.

    columns: returns q int32 [K, n], scale and zero [groups, n] of the output features start..stop; zero minus the
    middle.
    """
    tiles = -(-out_features // TILE)
    words = torch.zeros(tiles, in_features * bits // 32, TILE, dtype=torch.int32)
    scales = zeros = torch.empty(0)
    for start in range(0, out_features, COLUMNS):
        stop = min(start + COLUMNS, out_features)
        q, scale, zero = columns(start, stop)
        if start == 0:
            scales = torch.zeros(tiles, len(scale), TILE, dtype=torch.float16)
            zeros = torch.zeros(tiles, len(scale), TILE, dtype=torch.int16)
        at = slice(start // TILE, -(-stop // TILE))
        words[at] = _words(_padded(q), bits)
        scales[at] = _tiled(_padded(scale / gain))
        zeros[at] = _tiled(_padded(zero))
    tensors = {"words": words, "scales": scales, "gain": torch.tensor(gain)}
    return tensors | ({"zeros": zeros} if bool(zeros.any()) else {})


def _padded(columns: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(columns, (0, -columns.shape[1] % TILE))


def _tiled(values: torch.Tensor) -> torch.Tensor:
    """[groups, n] -> [tiles, groups, 32]."""
    return values.view(len(values), -1, TILE).transpose(0, 1)


def _words(q: torch.Tensor, bits: int) -> torch.Tensor:
    """q int32 [K, n] -> int32 [tiles, K * bits / 32, 32], pairs of neighbours in the halves of a word."""
    pairs = 16 // bits
    q = q.reshape(len(q) // (2 * pairs), pairs, 2, -1)
    words = torch.zeros_like(q[:, 0, 0])
    for pair in range(pairs):
        words |= (q[:, pair, 0] << (bits * pair)) | (q[:, pair, 1] << (bits * pair + 16))
    return _tiled(words)
