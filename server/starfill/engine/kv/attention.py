"""Causal attention over a KV cache whose result for a position doesn't depend on how it was computed.

Keys are taken in blocks of 128 at fixed positions, and each block is one matrix product; the blocks' results are added
up in order. So position 700 gets the same bits whether it was prefilled with 500 others or decoded alone, which
`scaled_dot_product_attention` doesn't give (its blocking follows the shapes). Here it costs no time: see
benchmarks/LOG.md. Our own kernel does the same in one pass; `attention` is for where that can't run. On a GPU this
holds for passes of few rows (engine/cuda); for long ones `fused_attention` gives it up for torch's own kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch.nn.functional import scaled_dot_product_attention

from starfill.engine.kv.kv_cache import BLOCK
from starfill.engine.native.library import native

NATIVE_LANES, NATIVE_DIM = 16, 1024  # head_dim must be a multiple of the one and at most the other


def state_dtype(quantized: bool, head_dim: int, device: torch.device, half: torch.dtype) -> torch.dtype:
    """What keys and values are kept in: 16 bits on a GPU, the kind `half` that it computes with; and on the CPU beside
    quantized weights, where our kernel computes attention."""
    if device.type == "cuda":
        return half
    ours = device.type == "cpu" and head_dim % NATIVE_LANES == 0 and head_dim <= NATIVE_DIM and native() is not None
    return torch.float16 if quantized and ours else torch.float32


@dataclass(frozen=True)
class Sight:
    """Where the rows of a pass may look: `tokens` rows at positions start.., each back to the sequence's beginning.

    window: how many positions back at most, its own among them; None for all. device: of what is computed.
    """

    start: int
    tokens: int
    window: int | None
    device: torch.device

    @cached_property
    def mask(self) -> torch.Tensor:
        return causal_mask(self.start, self.tokens, self.device, self.window)

    def to(self, device: torch.device) -> Sight:
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
    """bool [T, 1, keys], True where a query at position start + t must not look; keys fills whole blocks.

    window: how many positions back a query may look, its own among them.
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

    All in one float dtype. Query head h looks at key head h // group.
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
    """The same for rows at positions start.. as torch's own kernels have it for a GPU, which keep no scores.

    q [T, heads, D] of any dtype, k and v [kv_heads, keys, D] -> [T, heads * D] in theirs. How it rounds depends on the
    number of rows.
    """
    from torch.nn.attention.bias import causal_lower_right  # imports torch's compiler, which takes a second

    tokens, heads, dim = q.shape
    end, group = start + tokens, heads // len(k)
    first = max(0, start - window + 1) if window is not None else 0
    q, k, v = q.to(k.dtype).transpose(0, 1)[None], k[None, :, first:end], v[None, :, first:end]
    if window is None or end <= window:
        mask: torch.Tensor = causal_lower_right(tokens, end)
        mixed = scaled_dot_product_attention(q, k, v, mask, scale=scale, enable_gqa=group > 1)
    else:  # torch has no kernel for groups that takes a mask and keeps no scores
        mask = ~causal_mask(start, tokens, q.device, window)[:, 0, first:end]
        k, v = (each.repeat_interleave(group, 1) for each in (k, v))
        mixed = scaled_dot_product_attention(q, k, v, mask, scale=scale)
    return mixed[0].transpose(0, 1).reshape(tokens, heads * dim)


def _product(a: torch.Tensor, b: torch.Tensor, least: int) -> torch.Tensor:
    """a [kv_heads, blocks or 1, rows, K] @ b [kv_heads, blocks, K, N], with at least `least` rows computed.

    A product of very few rows takes another way through the library, with other last bits than the same rows get among
    many. Where MKL has AVX2 up to 3 rows are too few, of a single block up to 11 (measured on an AMD EPYC); where it
    has AVX-512 one row is and, with b transposed, as keys are, up to K / 25 (measured for K 16 to 256).
    """
    rows = a.shape[2]
    if rows >= least:
        return a @ b
    return (torch.nn.functional.pad(a, (0, 0, 0, least - rows)) @ b)[:, :, :rows]
