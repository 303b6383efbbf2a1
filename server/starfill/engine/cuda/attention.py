"""Attention of a step's rows over the keys and values of their own sequences.

Keys are divided into spans at fixed positions. One program computes one span, and leaves its softmax unfinished: the
maximum of the scores, the sum of exp2(score - maximum), and the values weighted with these. `combine` adds the spans up
in order. So a row gets the same bits however many rows there are, and whatever else is in the cache.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

import triton
import triton.language as tl

from starfill.engine.cuda.elementwise import ALIGNED, COLUMN
from starfill.engine.cuda.packed_product import matrix_product


@triton.jit(do_not_specialize=["rows", "spans"], do_not_specialize_on_alignment=COLUMN)
def attend(
    q,
    peaks,
    sums,
    mixed,
    positions,
    capacities,
    addresses,
    rows,
    spans,
    scale,
    KV_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    LANES: tl.constexpr,
    SHARED: tl.constexpr,
    DIM: tl.constexpr,
    KEYS: tl.constexpr,
    BLOCKS: tl.constexpr,
    WINDOW: tl.constexpr,
):
    """q [R, KV_HEADS * GROUP, DIM] -> peaks, sums float32 [R, heads, spans], mixed float32 [R, heads, spans, DIM].

    Grid (R / SHARED, KV_HEADS, spans). A span is BLOCKS blocks of KEYS keys; a span that a row can't see isn't written.
    A program takes SHARED rows with GROUP query heads each (LANES: the next power of two), so that rows of one sequence
    read its keys once. scale: of the scores, times log2(e). WINDOW: 0 for all. The other arguments are those of
    `spread`.
    """
    heads = KV_HEADS * GROUP
    begin, kv_head, span = tl.program_id(0) * SHARED, tl.program_id(1), tl.program_id(2)
    lane = tl.arange(0, SHARED * LANES)
    row, member = begin + lane // LANES, lane % LANES
    filled = (row < rows) & (member < GROUP)
    query_head = row * heads + kv_head * GROUP + member
    position = tl.load(positions + row, mask=row < rows, other=-1).to(tl.int32)
    address = tl.load(addresses + row, mask=row < rows, other=0)
    d, key = tl.arange(0, DIM), tl.arange(0, KEYS)
    first = span * BLOCKS * KEYS
    queries = tl.load(q + query_head[:, None] * DIM + d[None, :], mask=filled[:, None], other=0.0)
    for leader in range(tl.minimum(SHARED, rows - begin)):
        base = tl.load(addresses + begin + leader)
        before = tl.load(addresses + begin + leader - 1, mask=leader > 0, other=0)
        if base != before:  # the first row of a sequence computes for all of its rows
            mine = filled & (address == base)
            furthest = tl.max(tl.where(mine, position, -1), 0)
            nearest = tl.min(tl.where(mine, position, furthest), 0)
            if (first <= furthest) & ((WINDOW == 0) | (first + BLOCKS * KEYS > nearest - WINDOW + 1)):
                plane = tl.multiple_of(tl.load(capacities + begin + leader), KEYS) * DIM
                storage = base.to(tl.pointer_type(q.dtype.element_ty))
                keys = tl.multiple_of(storage, ALIGNED) + kv_head * plane
                values = keys + KV_HEADS * plane
                peak = tl.full([SHARED * LANES], float("-inf"), tl.float32)
                total = tl.zeros([SHARED * LANES], tl.float32)
                mix = tl.zeros([SHARED * LANES, DIM], tl.float32)
                for block in range(tl.minimum(BLOCKS, (furthest - first) // KEYS + 1)):
                    at = first + block * KEYS + key
                    there = at[:, None] <= furthest
                    place = at[:, None].to(tl.int64) * DIM + d[None, :]
                    k = tl.load(keys + place, mask=there, other=0.0)
                    scores = matrix_product(queries, tl.trans(k), tl.zeros([SHARED * LANES, KEYS], tl.float32)) * scale
                    seen = at[None, :] <= position[:, None]
                    if WINDOW > 0:
                        seen = seen & (at[None, :] > position[:, None] - WINDOW)
                    scores = tl.where(seen, scores, float("-inf"))
                    higher = tl.maximum(peak, tl.max(scores, 1))
                    level = tl.where(higher == float("-inf"), 0.0, higher)  # a row that has seen no key yet
                    weights = tl.exp2(scores - level[:, None])
                    fade = tl.exp2(peak - level)
                    total = total * fade + tl.sum(weights, 1)
                    v = tl.load(values + place, mask=there, other=0.0)
                    mix = matrix_product(weights.to(v.dtype), v, mix * fade[:, None])
                    peak = higher
                out = query_head * spans + span
                tl.store(peaks + out, peak, mask=mine)
                tl.store(sums + out, total, mask=mine)
                tl.store(mixed + out[:, None].to(tl.int64) * DIM + d[None, :], mix, mask=mine[:, None])


@triton.jit(do_not_specialize=["spans"])
def combine(
    peaks,
    sums,
    mixed,
    out,
    positions,
    spans,
    HEADS: tl.constexpr,
    DIM: tl.constexpr,
    SPAN: tl.constexpr,
    WINDOW: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """The results of `attend` for each span of SPAN keys -> out [R, HEADS, DIM] in its dtype. Grid (R, HEADS).

    CHUNK spans are added at a time, at fixed places.
    """
    row, head = tl.program_id(0), tl.program_id(1)
    position = tl.load(positions + row).to(tl.int32)
    last = position // SPAN
    start = 0
    if WINDOW > 0:
        start = tl.maximum(position - WINDOW + 1, 0) // SPAN
    d, i = tl.arange(0, DIM), tl.arange(0, CHUNK)
    highest = float("-inf")
    total = 0.0
    mix = tl.zeros([DIM], tl.float32)
    for chunk in range(start // CHUNK, last // CHUNK + 1):
        span = chunk * CHUNK + i
        inside = (span >= start) & (span <= last)
        at = (row * HEADS + head) * spans + span
        peak = tl.load(peaks + at, mask=inside, other=float("-inf"))
        higher = tl.maximum(highest, tl.max(peak, 0))
        weight = tl.exp2(peak - higher)
        fade = tl.exp2(highest - higher)
        total = total * fade + tl.sum(weight * tl.load(sums + at, mask=inside, other=0.0), 0)
        values = tl.load(mixed + at[:, None].to(tl.int64) * DIM + d[None, :], mask=inside[:, None], other=0.0)
        mix = mix * fade + tl.sum(weight[:, None] * values, 0)
        highest = higher
    tl.store(out + (row * HEADS + head) * DIM + d, (mix / total).to(out.dtype.element_ty))
