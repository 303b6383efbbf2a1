"""What a step computes between its products, row by row: sums of parts, norms, rotation, activations.

A product leaves its sum over the input features in parts [splits, R, width] float32 (`CudaLinear.parts`). The kernel
that needs the result adds them up in order. Each program has one row, or a piece of one, so that a row gets the same
bits however many there are. The first dimension of the grid is R.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

import triton
import triton.language as tl

COLUMN = ("positions", "capacities", "addresses")  # arguments in a table, at another place for each layer
ALIGNED = tl.constexpr(16)  # bytes, of KV storage; without this hint it would be read and written one number at a time
NONE = tl.constexpr(0)
RELU = tl.constexpr(1)
SILU = tl.constexpr(2)
GELU = tl.constexpr(3)
GELU_TANH = tl.constexpr(4)


@triton.jit
def _summed(parts, bias, row, column, inside, WIDTH: tl.constexpr, SPLITS: tl.constexpr):
    """The sum of the parts, and of the bias if there is one, at some columns of a row: float32."""
    at = row * WIDTH + column
    total = tl.load(parts + at, mask=inside, other=0.0)
    for split in tl.static_range(1, SPLITS):
        total += tl.load(parts + split * tl.num_programs(0) * WIDTH + at, mask=inside, other=0.0)
    if bias is not None:
        total += tl.load(bias + column, mask=inside, other=0.0)
    return total


@triton.jit
def settle(
    x,
    parts,
    bias,
    weight,
    shift,
    h,
    eps,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    SPLITS: tl.constexpr,
):
    """x float32 [R, WIDTH] += sum of the parts + bias; h [R, WIDTH] = norm(x) in h's dtype. Grid (R,).

    parts None: nothing is added. shift None: RMSNorm, else LayerNorm. BLOCK: at least WIDTH.
    """
    row = tl.program_id(0)
    i = tl.arange(0, BLOCK)
    inside = i < WIDTH
    at = row * WIDTH + i
    total = tl.load(x + at, mask=inside, other=0.0)
    if parts is not None:
        total += _summed(parts, bias, row, i, inside, WIDTH, SPLITS)
        tl.store(x + at, total, mask=inside)
    if shift is not None:
        total = tl.where(inside, total - tl.sum(total, 0) / WIDTH, 0.0)
    y = total * tl.rsqrt(tl.sum(total * total, 0) / WIDTH + eps) * tl.load(weight + i, mask=inside, other=0.0)
    if shift is not None:
        y += tl.load(shift + i, mask=inside, other=0.0)
    tl.store(h + at, y.to(h.dtype.element_ty), mask=inside)


@triton.jit
def _head(
    parts,
    bias,
    cos,
    sin,
    row,
    head,
    WIDTH: tl.constexpr,
    SPLITS: tl.constexpr,
    DIM: tl.constexpr,
):
    """One head of one row, rotated by its position if there is a `cos` (see rotary.py): float32 [DIM]."""
    i = tl.arange(0, DIM)
    value = _summed(parts, bias, row, head * DIM + i, i < DIM, WIDTH, SPLITS)
    if cos is not None:
        partner = _summed(parts, bias, row, head * DIM + (i + DIM // 2) % DIM, i < DIM, WIDTH, SPLITS)
        value = value * tl.load(cos + row * DIM + i) + partner * tl.load(sin + row * DIM + i)
    return value


@triton.jit(do_not_specialize_on_alignment=COLUMN)
def spread(
    q_parts,
    k_parts,
    v_parts,
    q_bias,
    k_bias,
    v_bias,
    cos,
    sin,
    q,
    positions,
    capacities,
    addresses,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    DIM: tl.constexpr,
    Q_WIDTH: tl.constexpr,
    K_WIDTH: tl.constexpr,
    V_WIDTH: tl.constexpr,
    Q_SPLITS: tl.constexpr,
    K_SPLITS: tl.constexpr,
    V_SPLITS: tl.constexpr,
):
    """Queries to q [R, HEADS, DIM], keys and values into each row's cache, in q's dtype. Grid (R, HEADS + 2 KV_HEADS).

    positions, capacities, addresses int64 [R]: a row's position in its sequence; the number of positions in the storage
    [2, KV_HEADS, capacity, DIM] of that sequence and this layer; the storage's address. cos and sin, if any: float32
    [R, DIM].
    """
    row, head = tl.program_id(0), tl.program_id(1)
    i = tl.arange(0, DIM)
    kept = q.dtype.element_ty
    if head < HEADS:
        turned = _head(q_parts, q_bias, cos, sin, row, head, Q_WIDTH, Q_SPLITS, DIM)
        tl.store(q + (row * HEADS + head) * DIM + i, turned.to(kept))
    else:
        plane = head - HEADS  # of the storage: first the heads of the keys, then those of the values
        place = plane * tl.load(capacities + row) + tl.load(positions + row)
        storage = tl.multiple_of(tl.load(addresses + row).to(tl.pointer_type(kept)), ALIGNED)
        if plane < KV_HEADS:
            key = _head(k_parts, k_bias, cos, sin, row, plane, K_WIDTH, K_SPLITS, DIM)
            tl.store(storage + place * DIM + i, key.to(kept))
        else:
            which = plane - KV_HEADS
            value = _head(v_parts, v_bias, None, None, row, which, V_WIDTH, V_SPLITS, DIM)
            tl.store(storage + place * DIM + i, value.to(kept))


@triton.jit
def _activated(x, KIND: tl.constexpr):
    if KIND == RELU:
        x = tl.maximum(x, 0.0)
    elif KIND == SILU:
        x = x / (1.0 + tl.exp(-x))
    elif KIND == GELU:
        x = 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    elif KIND == GELU_TANH:  # (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)) with u = sqrt(2 / pi) * (x + 0.044715 x^3)
        x = x / (1.0 + tl.exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)))
    return x


@triton.jit
def activate(
    up_parts,
    gate_parts,
    up_bias,
    gate_bias,
    out,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    UP_WIDTH: tl.constexpr,
    GATE_WIDTH: tl.constexpr,
    UP_SPLITS: tl.constexpr,
    GATE_SPLITS: tl.constexpr,
    KIND: tl.constexpr,
):
    """out [R, WIDTH] = f(up), or f(gate) * up if there is a gate, in out's dtype. Grid (R, WIDTH / BLOCK).

    UP_WIDTH, GATE_WIDTH: the widths of the parts' rows, which may be wider. With KIND NONE, out is the sum of the
    parts.
    """
    row = tl.program_id(0)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = i < WIDTH
    up = _summed(up_parts, up_bias, row, i, inside, UP_WIDTH, UP_SPLITS)
    if gate_parts is not None:
        gate = _summed(gate_parts, gate_bias, row, i, inside, GATE_WIDTH, GATE_SPLITS)
        y = _activated(gate, KIND) * up
    else:
        y = _activated(up, KIND)
    tl.store(out + row * WIDTH + i, y.to(out.dtype.element_ty), mask=inside)
