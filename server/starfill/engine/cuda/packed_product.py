"""Products with packed weights, whose format is described in packed_weights.py.

`product` takes up to 16 rows. Each program computes `COLUMNS` output features from some blocks of input features, and
writes float32 sums that its caller adds up in order. All rows are computed in the same way whatever their number.

Converting a weight must not take longer than reading it, so few instructions are spent on a code. A pair of codes is
masked out of a word. Each half of it is then the bits of a subnormal number, q * 2^-24 in fp16. One multiplication and
addition for both bring it to (q - zero) * 2^-9. That is exact, tensor cores multiply it at full speed, and the scale is
applied once a group in float32.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

import torch
import triton
import triton.language as tl

from starfill.engine.cuda.packed_weights import ROWS, PackedWeights
from starfill.engine.cuda.tuning import CHIPLESS, Tuning, choose

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


@triton.jit
def matrix_product(a, b, added):
    """a @ b + added in float32. Each row gets the same bits wherever it stands.

    For Triton's interpreter, which takes bfloat16 numbers for integers in a product, and where the rows of a BLAS's
    float32 product differ with their places. In float64 the products of 16-bit numbers are exact, and their sums next
    to exact.
    """
    if INTERPRETED:
        found = tl.dot(a.to(tl.float64), b.to(tl.float64), out_dtype=tl.float64).to(tl.float32) + added
    else:
        found = tl.dot(a, b, added)
    return found


@triton.jit
def load_words(words, n, there, PART: tl.constexpr, BITS: tl.constexpr):
    """16 words of each output feature n of a block, int32 [N, 16], and with 3 bits those with the high bits.

    words: the block's. PART: which 16, where there are more.
    """
    i = tl.arange(0, 16)[None, :]
    at = words + n[:, None] * (4 * BITS)
    if BITS == 3:
        low = tl.load(at + i % 8, mask=there[:, None], other=0) >> (i // 8 * 8)
        high = tl.load(at + 8 + i % 4, mask=there[:, None], other=0) >> (i // 4 * 4)
    else:
        low = tl.load(at + 16 * PART + i, mask=there[:, None], other=0)
        high = low
    return low, high


@triton.jit
def codes_at(low, high, PLACE: tl.constexpr, AT: tl.constexpr, BITS: tl.constexpr):
    """The codes at one place of both halves of each word, shifted so that they begin at bit `AT` of the halves."""
    if BITS == 3:
        pairs = ((low >> (2 * PLACE)) & 0x00030003) | (((high >> PLACE) & 0x00010001) << 2)
    else:
        MASK: tl.constexpr = (((1 << BITS) - 1) << AT) * 0x00010001
        moved = low >> (BITS * PLACE - AT) if BITS * PLACE > AT else low << (AT - BITS * PLACE)
        pairs = moved & MASK
    return pairs


@triton.jit
def numbers(pairs, zero, AT: tl.constexpr):
    """Pairs of codes int32 [N, 16] that begin at bit `AT` -> q * UNIT - zero [N, 32]. zero [N] is in units of UNIT
    too.
    """
    BFLOAT: tl.constexpr = zero.dtype == tl.bfloat16
    if INTERPRETED and BFLOAT:  # the interpreter can't compute with bfloat16
        codes = tl.reshape(tl.join(pairs & 0xFFFF, pairs >> 16), (pairs.shape[0], 32)) >> AT
        found = (codes.to(tl.float32) * 2.0**-6 - zero.to(tl.float32)[:, None]).to(zero.dtype)
    else:
        low = pairs.to(tl.int16).to(zero.dtype, bitcast=True)
        high = (pairs >> 16).to(tl.int16).to(zero.dtype, bitcast=True)
        both = tl.reshape(tl.join(low, high), (pairs.shape[0], 32))
        found = both * (2.0 ** ((127 if BFLOAT else 15) - AT)) - zero[:, None]
    return found


@triton.jit(do_not_specialize=["rows", "groups", "blocks", "blocks_per_split"])
def product(
    x, words, scales, zeros, order, out, rows, K, N, columns, groups, blocks, blocks_per_split,
    BITS: tl.constexpr, GRAIN: tl.constexpr, SPAN: tl.constexpr, WHOLE: tl.constexpr, COLUMNS: tl.constexpr,
    HAS_ZEROS: tl.constexpr, HAS_ORDER: tl.constexpr,
):  # fmt: skip
    """x [rows, K] -> out float32 [splits, rows, N]. Programs: (columns, splits).

    GRAIN: input features of a block that share a scale. SPAN: blocks that share a scale, 0 for all. WHOLE: K fills all
    blocks.
    """
    PLACES: tl.constexpr = 2 if BITS == 8 else 4
    dtype: tl.constexpr = x.dtype.element_ty
    # 10 bits of fp16 hold any code at bit 2 or 6, 8 bits of bfloat16 at bit 0 or 4. One place for all compiles best.
    AT: tl.constexpr = 0 if BITS == 3 else (10 if dtype == tl.float16 else 8) - BITS
    UNIT: tl.constexpr = 2.0**-9 if dtype == tl.float16 else 2.0**-6
    n = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    split = tl.program_id(1)
    there = n < columns
    r, i = tl.arange(0, 16)[None, :], tl.arange(0, 32)[:, None]
    first = split * blocks_per_split
    total = tl.zeros((COLUMNS, 16), tl.float32)
    for block in range(first, min(first + blocks_per_split, blocks)):
        at = words + block * columns * (4 * BITS)
        low, high = load_words(at, n, there, 0, BITS)
        for g in tl.static_range(128 // GRAIN):
            if SPAN == 0:
                group = 0
            elif GRAIN == 128:
                group = block // SPAN
            else:
                group = tl.minimum(block * (128 // GRAIN) + g, groups - 1)  # the inputs beyond the last group are 0
            scale = tl.load(scales + group * columns + n, mask=there, other=0.0).to(tl.float32)
            if HAS_ZEROS:
                zero = (tl.load(zeros + group * columns + n, mask=there, other=0).to(tl.float32) * UNIT).to(dtype)
            else:
                zero = tl.full((COLUMNS,), (1 << (BITS - 1)) * UNIT, tl.float32).to(dtype)
            part = tl.zeros((COLUMNS, 16), tl.float32)
            for j in tl.static_range(GRAIN // 32):
                if g * (GRAIN // 32) + j == PLACES:
                    low, high = load_words(at, n, there, 1, BITS)
                k = block * 128 + g * GRAIN + j * 32 + i
                inside = r < rows
                if not WHOLE:
                    inside = inside & (k < K)
                if HAS_ORDER:
                    k = tl.load(order + k, mask=k < K, other=0)
                xs = tl.load(x + r * K + k, mask=inside, other=0.0)
                pairs = codes_at(low, high, (g * (GRAIN // 32) + j) % PLACES, AT, BITS)
                part = matrix_product(numbers(pairs, zero, AT), xs, part)
            total += part * (scale * (1 / UNIT))[:, None]
    tl.store(out + (split * rows + r) * N + n[:, None], total, mask=(r < rows) & (n < N)[:, None])


@triton.jit
def add_up(parts, bias, out, splits, total, N, HAS_BIAS: tl.constexpr, SIZE: tl.constexpr):
    """parts float32 [splits, total / N, N], added in order, and bias float32 [N] -> out [total / N, N]."""
    i = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    there = i < total
    summed = tl.load(parts + i, mask=there, other=0.0)
    for split in range(1, splits):
        summed += tl.load(parts + split * total + i, mask=there, other=0.0)
    if HAS_BIAS:
        summed += tl.load(bias + i % N, mask=there, other=0.0)
    tl.store(out + i, summed.to(out.dtype.element_ty), mask=there)


def parts(linear: PackedWeights, x: torch.Tensor, how: Tuning | None = None) -> torch.Tensor:
    """x [R, K], contiguous, in the layer's dtype -> float32 [splits, R, N]. how: another tuning than the usual one."""
    rows, (blocks, columns, _) = len(x), linear.words.shape
    assert x.dtype == linear.dtype and x.is_contiguous() and rows <= ROWS
    how = how or choose(multiprocessors(x.device), linear.in_features, columns)
    blocks_per_split = -(-blocks // how.splits)
    splits = -(-blocks // blocks_per_split)
    out = torch.empty(splits, rows, linear.out_features, dtype=torch.float32, device=x.device)
    if rows:
        product[(triton.cdiv(columns, how.columns), splits)](
            x,
            linear.words,
            linear.scales,
            linear.scales if linear.zeros is None else linear.zeros,
            linear.words if linear.order is None else linear.order,
            out,
            rows,
            linear.in_features,
            linear.out_features,
            columns,
            len(linear.scales),
            blocks,
            blocks_per_split,
            BITS=linear.bits,
            GRAIN=linear.grain,
            SPAN=linear.span,
            WHOLE=linear.in_features % 128 == 0,
            COLUMNS=how.columns,
            HAS_ZEROS=linear.zeros is not None,
            HAS_ORDER=linear.order is not None,
            num_warps=how.warps,
            num_stages=how.stages,
        )
    return out


def few_rows(linear: PackedWeights, x: torch.Tensor) -> torch.Tensor:
    """x [T, K] in the layer's dtype, T <= 16 -> [T, N] in that dtype."""
    found = parts(linear, x)
    splits, rows, features = found.shape
    out = torch.empty(rows, features, dtype=linear.dtype, device=x.device)
    if rows:
        add_up[(triton.cdiv(out.numel(), 1024),)](
            found,
            found if linear.bias is None else linear.bias,
            out,
            splits,
            out.numel(),
            features,
            HAS_BIAS=linear.bias is not None,
            SIZE=1024,
        )
    return out


def attempt() -> None:
    """Compute something small, on a GPU if there is one. Raises whatever keeps kernels from being compiled and run."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    given = torch.ones(2, 8, device=device)
    add_up[(1,)](given, given, out := torch.zeros(8, device=device), 2, 8, 8, HAS_BIAS=False, SIZE=16)
    if out.tolist() != [2.0] * 8:
        raise RuntimeError("a kernel computed something else")


def multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else CHIPLESS
