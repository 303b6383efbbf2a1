"""What the device can do at best: how fast its memory is copied, and how fast it multiplies matrices."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gpu.clock import seconds


@dataclass(frozen=True, slots=True)
class Sizes:
    """copied: bytes, far more than the caches hold. matrix: rows and columns."""

    copied: int = 2**31
    matrix: int = 8192


@dataclass(frozen=True, slots=True)
class Ceilings:
    """bandwidth: bytes read and written a second. matrix: floating-point operations a second."""

    bandwidth: float
    matrix: float

    @classmethod
    def measured(cls, device: torch.device, dtype: torch.dtype, sizes: Sizes, rounds: int) -> Ceilings:
        return cls(copy_rate(device, sizes.copied, rounds), matrix_rate(device, dtype, sizes.matrix, rounds))

    def decode(self, weights: int, state: int) -> float:
        """Passes a second that read so many bytes of weights and of KV state, and do nothing else."""
        return self.bandwidth / (weights + state)

    def as_json(self) -> dict[str, float]:
        return {"bandwidth_gb_s": self.bandwidth / 1e9, "matrix_tflop_s": self.matrix / 1e12}


def copy_rate(device: torch.device, nbytes: int, rounds: int) -> float:
    """Bytes a second, read and written ones both counted."""
    source = torch.ones(nbytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * nbytes / seconds([lambda: target.copy_(source)], device, rounds)


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int, rounds: int) -> float:
    """Operations a second of a square product, a multiplication and an addition counted as two.

    The numbers are random: zeros and ones take less power, and give a rate that no model sees.
    """
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * size**3 / seconds([lambda: torch.mm(a, b, out=out)], device, rounds)
