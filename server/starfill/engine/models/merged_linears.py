"""Linears with the same input. A GPU computes them as one product, since starting small ones takes long (by
arithmetic).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from starfill.engine.linear.cuda import CudaLinear, side_by_side
from starfill.engine.linear.select import Linear


class MergedLinears:
    """linears: one for all, or one for each, in their order. widths: output features of each."""

    def __init__(self, linears: Sequence[Linear], widths: Sequence[int]) -> None:
        packed = [linear for linear in linears if type(linear) is CudaLinear]
        whole = side_by_side(packed) if len(packed) == len(linears) else None
        self.linears: tuple[Linear, ...] = tuple(linears) if whole is None else (whole,)
        self._widths = list(widths)

    def __call__(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        """x [T, K] -> [T, N] of each."""
        if len(self.linears) < len(self._widths):
            return torch.split(self.linears[0](x), self._widths, 1)
        return [linear(x) for linear in self.linears]
