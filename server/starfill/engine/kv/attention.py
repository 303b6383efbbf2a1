"""Causal attention over a KV cache, where a position's result doesn't depend on how it was computed.

Keys are divided into blocks of 128 at fixed positions. Each block is one matrix product, and the blocks' results are
added up in order. So position 700 gets the same bits whether it was prefilled with 500 others or decoded alone.
`scaled_dot_product_attention` doesn't guarantee that: its blocks follow from the shapes. Ours takes no longer, see
benchmarks/LOG.md. Our own kernel computes the same in one pass; `attention` is used where the kernel can't run. On a
GPU passes of few rows have this property (engine/cuda); long ones use torch's own kernels, which don't
(`fused_attention`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch.nn.functional import scaled_dot_product_attention

from starfill.engine.kv.kv_cache import BLOCK
from starfill.engine.native.library import native

NATIVE_LANES, NATIVE_DIM = 16, 1024  # head_dim must be a multiple of the first and at most the second


def state_dtype(quantized: bool, head_dim: int, device: torch.device, half: torch.dtype) -> torch.dtype:
    """The dtype of keys and values: 16 bits on a GPU (`half`, with which it computes), and on the CPU with quantized
    weights, where our kernel computes attention; else float32.
    """
    if device.type == "cuda":
        return half
    ours = device.type == "cpu" and head_dim % NATIVE_LANES == 0 and head_dim <= NATIVE_DIM and native() is not None
    return torch.float16 if quantized and ours else torch.float32


@dataclass(frozen=True)
class CausalWindow:
    """Which keys the rows of a pass may see: `tokens` rows at positions start.., each back to the sequence's beginning.

    window: the number of positions that a row sees, including its own; None for all. device: where it is computed.
    """

    start: int
    tokens: int
    window: int | None
    device: torch.device

    @cached_property
    def mask(self) -> torch.Tensor:
        return causal_mask(self.start, self.tokens, self.device, self.window)

    def to(self, device: torch.device) -> CausalWindow:
        return replace(self, device=device)

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
        """q [T, kv_heads * group, D], k and v [kv_heads, keys, D] in whole blocks -> [T, kv_heads * group * D]."""
        dim = q.shape[2]
        if q.device.type == "cpu" and q.dtype == torch.float32 and dim % NATIVE_LANES == 0 and dim <= NATIVE_DIM:
            kernels = native()
            if kernels is not None:
                return kernels.attention(q, k, v, self.start, scale, self.window)
        if q.device.type == "cuda":
            return fused_attention(q, k, v, self.start, scale, self.window)
        return attention(q, k, v, self.mask, scale)


def causal_mask(start: int, tokens: int, device: torch.device, window: int | None = None) -> torch.Tensor:
    """bool [T, 1, keys], True where the query at position start + t must not see the key; keys is a multiple of BLOCK.

    window: the number of positions that a query sees, including its own.
    """
    keys = -(-(start + tokens) // BLOCK) * BLOCK
    query = torch.arange(start, start + tokens, device=device)[:, None]
    key = torch.arange(keys, device=device)[None, :]
    hidden = key > query
    if window is not None and start + tokens > window:
        hidden |= key <= query - window
    return hidden[:, None, :]


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, scale: float) -> torch.Tensor:
    """q [T, kv_heads * group, D], k and v [kv_heads, keys, D], mask [T, 1, keys] -> [T, kv_heads * group * D].

    All have the same float dtype. Query head h uses key head h // group.
    """
    tokens, heads, dim = q.shape
    kv_heads, keys, _ = k.shape
    blocks, group = keys // BLOCK, heads // kv_heads
    rows = tokens * group
    q = q.view(tokens, kv_heads, group, dim).transpose(0, 1).reshape(kv_heads, 1, rows, dim)
    scores = _product(q, k.view(kv_heads, blocks, BLOCK, dim).transpose(2, 3), least=max(12, dim // 16))
    scores = scores.mul_(scale).transpose(1, 2).reshape(kv_heads, tokens, group, keys)
    weights = scores.masked_fill_(mask, float("-inf")).softmax(-1)
    weights = weights.view(kv_heads, rows, blocks, BLOCK).transpose(1, 2)
    summed = _product(weights, v.view(kv_heads, blocks, BLOCK, dim), least=12).sum(1)
    return summed.view(kv_heads, tokens, group, dim).transpose(0, 1).reshape(tokens, heads * dim)


def fused_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, start: int, scale: float, window: int | None
) -> torch.Tensor:
    """The same on a GPU with torch's own kernels, which don't store the scores. The rows are at positions start...

    q [T, heads, D] of any dtype, k and v [kv_heads, keys, D] -> [T, heads * D] in the dtype of k. Its rounding depends
    on the number of rows.
    """
    from torch.nn.attention.bias import causal_lower_right  # imports torch's compiler, which takes a second

    tokens, heads, dim = q.shape
    end, group = start + tokens, heads // len(k)
    first = max(0, start - window + 1) if window is not None else 0
    q, k, v = q.to(k.dtype).transpose(0, 1)[None], k[None, :, first:end], v[None, :, first:end]
    if window is None or end <= window:
        mask: torch.Tensor = causal_lower_right(tokens, end)
        mixed = scaled_dot_product_attention(q, k, v, mask, scale=scale, enable_gqa=group > 1)
    else:  # torch has no kernel for grouped queries that takes a mask and doesn't store the scores
        mask = ~causal_mask(start, tokens, q.device, window)[:, 0, first:end]
        k, v = (each.repeat_interleave(group, 1) for each in (k, v))
        mixed = scaled_dot_product_attention(q, k, v, mask, scale=scale)
    return mixed[0].transpose(0, 1).reshape(tokens, heads * dim)


def _product(a: torch.Tensor, b: torch.Tensor, least: int) -> torch.Tensor:
    """a [kv_heads, blocks or 1, rows, K] @ b [kv_heads, blocks, K, N], with at least `least` rows computed.

    For very few rows the library uses other code, whose last bits differ from those of the same rows among many. With
    AVX2, MKL does so for up to 3 rows, and for up to 11 of a single block (measured on an AMD EPYC). With AVX-512 it
    does so for one row and, if b is transposed, as keys are, for up to K / 25 rows (measured for K 16 to 256).
    """
    rows = a.shape[2]
    if rows >= least:
        return a @ b
    return (torch.nn.functional.pad(a, (0, 0, 0, least - rows)) @ b)[:, :, :rows]
