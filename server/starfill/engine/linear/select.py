"""Which kernel runs a checkpoint's linear layers: one table of what each supports, first match wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from starfill.engine.linear.cpu import kernel_group


class Linear(Protocol):
    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...

    @property
    def nbytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides on a kernel. bits None: unquantized."""

    device: str
    bits: int | None
    in_features: int
    groups: int


@dataclass(frozen=True, slots=True)
class Kernel:
    name: str
    supports: Callable[[Shape], bool]
    reason: str
    packs: bool  # keeps weights packed, in a form of its own


KERNELS = (
    Kernel(
        "int4pack-bf16",
        lambda s: s.device == "cpu" and s.bits in (3, 4, 8) and kernel_group(s.in_features, s.groups) is not None,
        "torch's native int4 product, bf16 activations",
        packs=True,
    ),
    Kernel(
        "dense",
        lambda s: True,
        "weights in full: unquantized, or a layout that no packed kernel takes",
        packs=False,
    ),
)


def select(shape: Shape) -> Kernel:
    return next(kernel for kernel in KERNELS if kernel.supports(shape))
