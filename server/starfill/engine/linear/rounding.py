"""Rounds an unquantized output head to 8 bits in groups, symmetrically: the error is 1/254 of a group's maximum.

The whole head is read for every token, so rounding at least halves that cost. benchmarks/LOG.md has its effect on the
answers (0.01 % of the loss).
"""

from __future__ import annotations

import torch

BITS = 8


def head_groups(in_features: int) -> int:
    """How many groups of input features a head has, each with its own scale."""
    return in_features // 128 if in_features % 128 == 0 else 1


def round_columns(weight: torch.Tensor, group_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """weight [n, K] -> codes int32 [n, K] around 128, and their scales float32 [groups, n]."""
    grouped = weight.float().view(len(weight), -1, group_size)  # [n, groups, rows]
    scale = (grouped.abs().amax(-1) / 127).clamp_min(1e-12).to(torch.bfloat16).float()
    q = (grouped / scale[..., None]).round().clamp(-128, 127).to(torch.int32).view(weight.shape) + 128
    return q, scale.t().contiguous()
