"""Which kernel runs a checkpoint's linear layers: one table of what each supports. The first match wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from starfill.engine.cuda.packed_weights import grain_of
from starfill.engine.linear import cuda, int4pack, native
from starfill.engine.linear.reference import LayerShape, Packed
from starfill.engine.linear.rounding import BITS, head_groups
from starfill.engine.native.library import native as native_kernels


class Linear(Protocol):
    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...

    @property
    def nbytes(self) -> int: ...


class PackedLinear(Linear, Protocol):
    def tensors(self) -> dict[str, torch.Tensor]: ...


class Packer(Protocol):
    """Packs weights into a kernel's own format, on the device of what it is given."""

    def pack(self, layer: Packed) -> PackedLinear: ...

    def pack_head(self, weight: torch.Tensor) -> PackedLinear: ...

    def packed_nbytes(self, shape: LayerShape) -> int:
        """Bytes of a packed layer."""
        ...


Restore = Callable[[dict[str, torch.Tensor], int], PackedLinear]  # tensors of a packed layer, its output features


@dataclass(frozen=True, slots=True)
class Shape:
    """What determines the kernel. bits None: unquantized. half: the dtype with which a GPU computes."""

    device: str
    bits: int | None
    in_features: int
    groups: int
    half: torch.dtype = torch.float16


@dataclass(frozen=True, slots=True)
class Kernel:
    """restore: makes a layer from the tensors in the cache on disk; None if packing is so quick that none are kept."""

    name: str
    supports: Callable[[Shape], bool]
    reason: str
    packer: Packer | None = None  # None: unpacked weights
    restore: Restore | None = None


def _on_cpu(shape: Shape) -> bool:
    return shape.device == "cpu" and shape.bits in (3, 4, 8)


def _on_gpu(shape: Shape) -> bool:
    takes = shape.bits in (3, 4, 8) and grain_of(shape.in_features, shape.groups) >= cuda.LEAST_GROUP
    return shape.device == "cuda" and takes


NO_TRITON = Kernel(
    "dense",
    lambda s: _on_gpu(s) and cuda.obstacle() is not None,
    "weights in full, since our GPU kernels don't run here",
)

KERNELS = (
    Kernel(
        "native-int16",
        lambda s: _on_cpu(s) and native_kernels() is not None and native.block_of(s.in_features, s.groups) is not None,
        "our own, int16 activations",
        native,
        native.restore,
    ),
    Kernel(
        "int4pack-bf16",
        lambda s: _on_cpu(s) and int4pack.kernel_group(s.in_features, s.groups) is not None,
        "torch's int4 product, bf16 activations",
        int4pack,
        int4pack.restore,
    ),
    NO_TRITON,
    Kernel(
        "triton-fp16",
        lambda s: _on_gpu(s) and s.half == torch.float16,
        "our own, packed weights times fp16 activations on tensor cores",
        cuda.HALF,
    ),
    Kernel(
        "triton-bf16",
        lambda s: _on_gpu(s) and s.half == torch.bfloat16,
        "our own, packed weights times bf16 activations on tensor cores",
        cuda.BFLOAT,
    ),
    Kernel(
        "dense",
        lambda s: True,
        "weights in full: unquantized, or a layout that no packed kernel takes",
    ),
)


def select(shape: Shape) -> Kernel:
    found = next(kernel for kernel in KERNELS if kernel.supports(shape))
    return replace(found, reason=f"{found.reason} ({cuda.obstacle()})") if found is NO_TRITON else found


def head_kernel(device: str, in_features: int, half: torch.dtype = torch.float16) -> Kernel:
    """The kernel for an output head rounded to 8 bits, beside packed linears."""
    return select(Shape(device, BITS, in_features, head_groups(in_features), half))
