"""Which kernel runs a checkpoint's linear layers: one table of what each supports, first match wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from starfill.engine.linear import int4pack, native
from starfill.engine.linear.reference import Packed
from starfill.engine.linear.rounding import BITS, head_groups
from starfill.engine.native import native as native_kernels


class Linear(Protocol):
    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...

    @property
    def nbytes(self) -> int: ...


class PackedLinear(Linear, Protocol):
    def tensors(self) -> dict[str, torch.Tensor]: ...


class Packer(Protocol):
    """A module that keeps weights packed in a form of its own."""

    def pack(self, layer: Packed) -> PackedLinear: ...

    def pack_head(self, weight: torch.Tensor) -> PackedLinear: ...

    def restore(self, tensors: dict[str, torch.Tensor], out_features: int) -> PackedLinear: ...


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
    packer: Packer | None = None  # None: weights in full


def _on_cpu(shape: Shape) -> bool:
    return shape.device == "cpu" and shape.bits in (3, 4, 8)


KERNELS = (
    Kernel(
        "native-int16",
        lambda s: _on_cpu(s) and native_kernels() is not None and native.block_of(s.in_features, s.groups) is not None,
        "our own, int16 activations",
        native,
    ),
    Kernel(
        "int4pack-bf16",
        lambda s: _on_cpu(s) and int4pack.kernel_group(s.in_features, s.groups) is not None,
        "torch's int4 product, bf16 activations",
        int4pack,
    ),
    Kernel(
        "dense",
        lambda s: True,
        "weights in full: unquantized, or a layout that no packed kernel takes",
    ),
)


def select(shape: Shape) -> Kernel:
    return next(kernel for kernel in KERNELS if kernel.supports(shape))


def head_kernel(device: str, in_features: int) -> Kernel:
    """What runs an output head rounded to 8 bits, beside packed linears."""
    return select(Shape(device, BITS, in_features, head_groups(in_features)))
