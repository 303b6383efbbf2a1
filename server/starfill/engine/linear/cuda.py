"""GPTQ linears on an NVIDIA GPU: weights stay packed, and are read once for up to 16 rows of input.

The packed format is described in cuda/packed_weights.py. The kernels are in cuda/packed_product.py and, for more rows,
in cuda/dequantized_product.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch.nn.functional import pad

from starfill.engine.cuda.packed_weights import BLOCK, ROWS, PackedWeights, grain_of, launching_on
from starfill.engine.cuda.tuning import CONVERTED
from starfill.engine.linear.reference import LayerShape, Packed, codes
from starfill.engine.linear.rounding import BITS, head_groups, round_columns

WIDTH = 32  # output features are padded to a multiple of this
LEAST_GROUP = 32  # input features


@dataclass(frozen=True, slots=True, eq=False)
class CudaLinear(PackedWeights):
    """y = x W + b. Up to 16 rows are independent of each other, to the bit."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x [T, K] of any float dtype -> [T, N] in `dtype`."""
        from starfill.engine.cuda import dequantized_product, packed_product

        x = x.to(self.dtype).contiguous()
        with launching_on(x.device):
            return packed_product.few_rows(self, x) if len(x) <= ROWS else dequantized_product.many_rows(self, x)

    def parts(self, x: torch.Tensor) -> torch.Tensor:
        """x [R, K] in `dtype`, contiguous, R <= 16 -> float32 [splits, R, N]: to be added up in order, with the bias.

        The number of splits depends on the layer and the chip alone.
        """
        from starfill.engine.cuda import packed_product

        return packed_product.parts(self, x)


def held_groups(in_features: int, groups: int) -> int:
    """How many groups are stored: a group of 96, say, as three groups of 32."""
    size, grain = in_features // groups, grain_of(in_features, groups)
    return groups if groups == 1 or size % BLOCK == 0 else groups * size // grain


def blank(
    in_features: int,
    out_features: int,
    bits: int,
    groups: int,
    device: torch.device,
    dtype: torch.dtype,
    scales: torch.dtype = torch.float16,
) -> CudaLinear:
    """A layer whose words and scales are still to be filled in, without zeros, order and bias."""
    columns = -(-out_features // WIDTH) * WIDTH
    blocks = -(-in_features // BLOCK)
    return CudaLinear(
        words=torch.zeros(blocks, columns, 4 * bits, dtype=torch.int32, device=device),
        scales=torch.zeros(held_groups(in_features, groups), columns, dtype=scales, device=device),
        zeros=None,
        order=None,
        bias=None,
        bits=bits,
        in_features=in_features,
        out_features=out_features,
        dtype=dtype,
    )


@dataclass(frozen=True, slots=True)
class CudaPacker:
    """Packs on the device of what it is given. dtype: of the layers' input and output."""

    dtype: torch.dtype

    def pack(self, layer: Packed) -> CudaLinear:
        return pack(layer, layer.qweight.device, self.dtype)

    def packed_nbytes(self, shape: LayerShape) -> int:
        """Bytes of a packed layer."""
        columns, blocks = -(-shape.out_features // WIDTH) * WIDTH, -(-shape.in_features // BLOCK)
        words = columns * blocks * BLOCK * shape.bits // 8
        scales = held_groups(shape.in_features, shape.groups) * columns * (3 if shape.zeros else 2)
        order, bias = 4 * shape.in_features * shape.ordered, 4 * shape.out_features * shape.bias
        return words + scales + order + bias

    def pack_head(self, weight: torch.Tensor) -> CudaLinear:
        return pack_head(weight, weight.device, self.dtype)


HALF, BFLOAT = CudaPacker(torch.float16), CudaPacker(torch.bfloat16)


@cache
def obstacle() -> str | None:
    """What keeps our kernels from running on this machine's GPU; None if they run. They are tried once."""
    try:
        from starfill.engine.cuda import packed_product

        packed_product.attempt()
    # no Triton, no C compiler, which Triton needs at run time, or a chip that it doesn't know
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def pack(layer: Packed, device: torch.device, dtype: torch.dtype) -> CudaLinear:
    """Pack a checkpoint's layer, on the device. `grain_of` its groups must be at least 32 (`select` sees to it)."""
    groups = len(layer.scales)
    made = blank(layer.in_features, layer.out_features, layer.bits, groups, device, dtype, layer.scales.dtype)
    order = None
    if groups > 1 and not bool((layer.g_idx[1:] >= layer.g_idx[:-1]).all()):
        order = torch.argsort(layer.g_idx, stable=True).to(device)
    repeat = len(made.scales) // groups
    zeros = torch.empty_like(made.scales, dtype=torch.uint8)

    def fill(start: int, stop: int) -> torch.Tensor:
        part = layer.columns(start, stop).to(device)
        q, zero, _ = codes(part)
        made.scales[:, start:stop] = part.scales.repeat_interleave(repeat, 0)
        zeros[:, start:stop] = zero.repeat_interleave(repeat, 0)
        return q if order is None else q[order]

    _by_columns(made, fill)
    middle = bool((zeros == 1 << (layer.bits - 1)).all())
    return replace(
        made,
        zeros=None if middle else zeros,
        order=None if order is None else order.to(torch.int32),
        bias=None if layer.bias is None else layer.bias.to(device, torch.float32),
    )


def pack_head(weight: torch.Tensor, device: torch.device, dtype: torch.dtype) -> CudaLinear:
    """An unquantized output head [N, K], rounded to 8 bits."""
    out_features, in_features = weight.shape
    groups = head_groups(in_features)
    # `round_columns` computes scales of any size, which bf16 can hold.
    made = blank(in_features, out_features, BITS, groups, device, dtype, torch.bfloat16)

    def fill(start: int, stop: int) -> torch.Tensor:
        q, scale = round_columns(weight[start:stop].to(device), in_features // groups)
        made.scales[:, start:stop] = scale
        return q.t()

    _by_columns(made, fill)
    return made


def side_by_side(linears: Sequence[CudaLinear]) -> CudaLinear | None:
    """Linears with the same input as one linear, their outputs side by side; None if that can't be done.

    Under desc_act their input features must be in the same order. GPTQ makes it so: the order follows from the inputs
    alone.
    """
    first, *others = linears
    if any(linear.out_features % WIDTH for linear in linears) or not all(_alike(first, other) for other in others):
        return None

    def joined(name: str, blank: Callable[[CudaLinear], torch.Tensor]) -> torch.Tensor | None:
        found = [getattr(linear, name) for linear in linears]
        if all(tensor is None for tensor in found):
            return None
        whole = [blank(linear) if tensor is None else tensor for linear, tensor in zip(linears, found, strict=True)]
        return torch.cat(whole, -1)

    return replace(
        first,
        words=torch.cat([linear.words for linear in linears], 1),
        scales=torch.cat([linear.scales for linear in linears], 1),
        zeros=joined("zeros", lambda each: torch.full_like(each.scales, 1 << (each.bits - 1), dtype=torch.uint8)),
        bias=joined("bias", lambda each: each.scales.new_zeros(each.out_features, dtype=torch.float32)),
        out_features=sum(linear.out_features for linear in linears),
    )


def _alike(a: CudaLinear, b: CudaLinear) -> bool:
    kinds = [(c.bits, c.in_features, c.dtype, c.scales.dtype, len(c.scales), c.words.device) for c in (a, b)]
    if kinds[0] != kinds[1] or (a.order is None) != (b.order is None):
        return False
    return a.order is None or b.order is None or torch.equal(a.order, b.order)


def _by_columns(made: CudaLinear, codes_of: Callable[[int, int], torch.Tensor]) -> None:
    """Fill in the words, slice by slice. codes_of: returns q int32 [K, n] of the output features start..stop."""
    step = max(WIDTH, CONVERTED // made.in_features // WIDTH * WIDTH)
    for start in range(0, made.out_features, step):
        stop = min(start + step, made.out_features)
        made.words[:, start:stop] = _words(codes_of(start, stop), made.bits)


def _words(q: torch.Tensor, bits: int) -> torch.Tensor:
    """q int32 [K, n] -> int32 [blocks, n, 4 * bits], see cuda/packed_weights.py."""
    columns = q.shape[1]
    q = pad(q, (0, 0, 0, -len(q) % BLOCK)).view(-1, BLOCK, columns)
    if bits == 3:
        low = _put(_halves(q & 3, 4), 2).view(-1, 2, 8, columns)
        high = _put(_halves(q >> 2, 4), 1).view(-1, 4, 4, columns)
        words = torch.cat([_put(low, 8), _put(high, 4)], dim=1)
    else:
        words = _put(_halves(q.view(-1, 512 // bits, columns), 16 // bits), bits).view(len(q), -1, columns)
    return words.transpose(1, 2)


def _halves(q: torch.Tensor, places: int) -> torch.Tensor:
    """q [B, 32 * places, n] -> [B, places, 16, n], pairs of neighbours in the halves of words."""
    pairs = q.view(len(q), places, 16, 2, -1)
    return pairs[:, :, :, 0] | (pairs[:, :, :, 1] << 16)


def _put(q: torch.Tensor, bits: int) -> torch.Tensor:
    """q int32 [B, places, rows, n] -> [B, rows, n], where place p begins at bit `bits` * p."""
    words = torch.zeros_like(q[:, 0])
    for place in range(q.shape[1]):
        words |= q[:, place] << (bits * place)
    return words
