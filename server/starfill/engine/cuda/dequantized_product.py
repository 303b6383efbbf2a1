"""Products of more than 16 rows: some columns of the weights are dequantized, then multiplied by torch, and so on."""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

from functools import cache

import torch
import triton
import triton.language as tl

from starfill.engine.cuda.packed_product import codes_at, load_words
from starfill.engine.cuda.packed_weights import PackedWeights
from starfill.engine.cuda.tuning import SCRATCH

TILE = 128  # output features that are dequantized at a time are a multiple of this


@triton.jit
def dequantize(
    words, scales, zeros, out, start, width, K, columns, groups,
    BITS: tl.constexpr, GRAIN: tl.constexpr, SPAN: tl.constexpr, COLUMNS: tl.constexpr, HAS_ZEROS: tl.constexpr,
):  # fmt: skip
    """Weights of the output features from `start` on -> out [width, K]. Programs: (columns, blocks). See
    `product.product`.
    """
    PLACES: tl.constexpr = 2 if BITS == 8 else 4
    row = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    block = tl.program_id(1)
    n, there = start + row, row < width
    at = words + block * columns * (4 * BITS)
    low, high = load_words(at, n, there, 0, BITS)
    for p in tl.static_range(4):
        if p == PLACES:
            low, high = load_words(at, n, there, 1, BITS)
        if SPAN == 0:
            group = 0
        elif GRAIN == 128:
            group = block // SPAN
        else:
            group = tl.minimum(block * (128 // GRAIN) + p // (GRAIN // 32), groups - 1)
        scale = tl.load(scales + group * columns + n, mask=there, other=0.0).to(tl.float32)
        if HAS_ZEROS:
            zero = tl.load(zeros + group * columns + n, mask=there, other=0).to(tl.int32)
        else:
            zero = tl.full((COLUMNS,), 1 << (BITS - 1), tl.int32)
        pairs = codes_at(low, high, p % PLACES, 0, BITS)
        code = tl.reshape(tl.join(pairs & 0xFFFF, pairs >> 16), (COLUMNS, 32))
        weights = (code - zero[:, None]).to(tl.float32) * scale[:, None]
        k = block * 128 + p * 32 + tl.arange(0, 32)[None, :]
        tl.store(out + row[:, None] * K + k, weights.to(out.dtype.element_ty), mask=there[:, None] & (k < K))


def many_rows(linear: PackedWeights, x: torch.Tensor, buffer: torch.Tensor | None = None) -> torch.Tensor:
    """x [T, K] in the layer's dtype -> [T, N] in that dtype, some output features at a time.

    buffer: a buffer for dequantized weights, [elements] in that dtype; None for the one that all layers share.
    """
    if linear.order is not None:
        x = x.index_select(1, linear.order)
    features = linear.out_features
    y = torch.empty(len(x), features, dtype=linear.dtype, device=x.device)
    buffer = shared_buffer(x.device, linear.dtype) if buffer is None else buffer
    widest = max(TILE, len(buffer) // linear.in_features // TILE * TILE)
    tiles = -(-features // widest)
    width = -(-features // (tiles * TILE)) * TILE
    for start in range(0, features, width):
        stop = min(start + width, features)
        torch.mm(x, full(linear, start, stop, buffer).t(), out=y[:, start:stop])
    return y if linear.bias is None else y.add_(linear.bias)


def full(linear: PackedWeights, start: int, stop: int, buffer: torch.Tensor) -> torch.Tensor:
    """The weights of output features start..stop, [stop - start, K] in the layer's dtype and order, written to
    `buffer`.
    """
    width, (blocks, columns, _) = stop - start, linear.words.shape
    weights = buffer[: width * linear.in_features].view(width, linear.in_features)
    dequantize[(triton.cdiv(width, 64), blocks)](
        linear.words,
        linear.scales,
        linear.scales if linear.zeros is None else linear.zeros,
        weights,
        start,
        width,
        linear.in_features,
        columns,
        len(linear.scales),
        BITS=linear.bits,
        GRAIN=linear.grain,
        SPAN=linear.span,
        COLUMNS=64,
        HAS_ZEROS=linear.zeros is not None,
    )
    return weights


@cache
def shared_buffer(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """A buffer for some columns of any layer's weights. All layers share it, since passes follow one another."""
    return torch.empty(SCRATCH // dtype.itemsize, dtype=dtype, device=device)
