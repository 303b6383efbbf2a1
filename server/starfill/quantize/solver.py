"""Solvers find the codes of one linear layer. The simplest one is here: round to nearest."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from starfill.engine.linear.reference import Packed
from starfill.quantize.spec import Spec


class Solver(Protocol):
    """Made for one linear, shown its inputs on the calibration text, then asked for its codes."""

    def see(self, inputs: torch.Tensor) -> None:
        """inputs [T, in] float32, those of one sequence."""
        ...

    def solve(self) -> Packed:
        """Without bias, on the CPU, scales in fp16. No zero point is 0: libraries differ on its meaning."""
        ...


class MakeSolver(Protocol):
    def __call__(self, name: str, linear: nn.Linear, spec: Spec) -> Solver:
        """name: of the linear in the checkpoint."""
        ...


class RoundToNearest:
    """Each weight gets the nearest code. Better solvers are compared with this one. Needs no library."""

    def __init__(self, name: str, linear: nn.Linear, spec: Spec) -> None:
        self._weight = linear.weight.t()
        self._spec = spec

    def see(self, inputs: torch.Tensor) -> None:
        """Does nothing: the inputs don't matter here."""

    def solve(self) -> Packed:
        rows, columns = self._weight.shape
        groups, top = self._spec.groups(rows), 2**self._spec.bits - 1
        weight = self._weight.float().reshape(groups, rows // groups, columns)
        scales, zeros = scales_and_zeros(weight.amin(1), weight.amax(1), top, self._spec.sym)
        scales = scales.half()
        codes = (torch.round(weight / scales.float()[:, None]) + zeros[:, None]).clamp(0, top)
        return Packed(
            qweight=pack_rows(codes.reshape(rows, columns).int(), self._spec.bits).cpu(),
            qzeros=pack_rows((zeros.int() - 1).t(), self._spec.bits).t().contiguous().cpu(),
            scales=scales.cpu(),
            g_idx=torch.arange(rows, dtype=torch.int32) // (rows // groups),
            bias=None,
            bits=self._spec.bits,
            zero_offset=1,
        )


def scales_and_zeros(low: torch.Tensor, high: torch.Tensor, top: int, sym: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and zero point (at least 1) for values in low..high and codes 0..top. low and high:
    float32 of any shape.
    """
    low, high = low.clamp(max=0), high.clamp(min=0)
    if sym:
        size = torch.maximum(-low, high)
        scales, zeros = 2 * size / top, torch.full_like(size, (top + 1) // 2)
    else:
        scales = (high - low) / top
        zeros = torch.round(-low / scales)
        # hardly anything is below 0, so codes 1..top are used
        scales = torch.where(zeros < 1, high / (top - 1), scales)
        zeros = zeros.clamp(min=1)
    nothing = high - low < 1e-6  # all weights are 0, and an fp16 scale would be 0 too
    return torch.where(nothing, 1.0, scales), torch.where(nothing, float((top + 1) // 2), zeros)


def pack_rows(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """codes int32 [K, N], K a multiple of 32 -> words int32 [K * bits / 32, N]; see engine/linear/reference.py."""
    rows, columns = codes.shape
    codes = codes.reshape(rows // 32, 32, columns).to(torch.int64)
    words = torch.zeros(rows // 32, bits + 1, columns, dtype=torch.int64, device=codes.device)
    for index in range(32):
        word, shift = divmod(index * bits, 32)
        value = codes[:, index] << shift
        words[:, word] |= value & 0xFFFFFFFF
        words[:, word + 1] |= value >> 32
    words = words[:, :bits].reshape(-1, columns)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
