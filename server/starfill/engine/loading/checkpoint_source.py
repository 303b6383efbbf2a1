"""The checkpoint as the source of a model's parameters (see models/parameters.py)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch

from starfill.checkpoint.config import Quantization
from starfill.checkpoint.weights import FLOATS
from starfill.engine.linear.dense import DenseLinear, unpack
from starfill.engine.linear.reference import Packed
from starfill.engine.linear.select import Kernel, Linear, PackedLinear, Shape, head_kernel, select
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.loading.packed_cache import PackedCache
from starfill.engine.loading.repack import Repacking
from starfill.engine.models.parameters import half
from starfill.errors import CheckpointError


@dataclass(slots=True)
class Tally:
    """What was read so far."""

    nbytes: int = 0
    linears: int = 0


class CheckpointSource:
    """See models/parameters.py. kernel: runs the quantized linears on the first device."""

    def __init__(
        self,
        opened: OpenedCheckpoint,
        devices: tuple[torch.device, ...],
        cache: PackedCache | None,
        report: Callable[[float, str], None],
    ) -> None:
        self.devices = devices
        self.device = devices[0]
        config, weights = opened.config, opened.weights
        self._config, self._weights, self._report = config, weights, report
        self._quantization, self._half = config.quantization, half(config.model)
        self.quantized = config.quantization is not None
        self._tally = Tally()
        linears = opened.architecture.linears()
        self._total = len(linears) + 1
        self.kernel = self._select(next(iter(linears.values()))[0])
        self._repacking = Repacking(cache if self.kernel.restore else None, weights.files, self.kernel.name)

    @property
    def nbytes(self) -> int:
        return self._tally.nbytes

    def at(self, layer: int) -> CheckpointSource:
        other = copy.copy(self)
        other.device = self.devices[layer]
        return other

    def has(self, name: str) -> bool:
        return name in self._weights

    def tensor(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return self._count(self._weights.get(name, shape).to(self.device, torch.float32, copy=True))

    def table(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return self._count(self._weights.get(name, shape).to(self.device))

    def linear(self, name: str, in_features: int, out_features: int, bias: bool) -> Linear:
        self._step()
        added = self._bias(name, out_features, bias)
        q = self._quantization
        if q is None:
            return self._dense(self._weights.get(f"{name}.weight", (out_features, in_features)), added)
        kernel = self._select(in_features)
        packer = kernel.packer
        if packer is None:
            packed = self._packed(name, in_features, out_features, added, q)
            return self._counted(unpack(packed, self._dtype, self.device))

        def make() -> PackedLinear:
            return packer.pack(self._packed(name, in_features, out_features, added, q).to(self.device))

        return self._counted(self._repacking.linear(name, out_features, make, kernel.restore))

    def head(self, name: str, tied: str | None, shape: tuple[int, ...]) -> Linear:
        self._step()
        weight = self._weights.get(name if name in self._weights or tied is None else tied, shape)
        kernel = head_kernel(self.device.type, shape[1], self._half)
        packer = kernel.packer if self.kernel.packer else None
        if packer is None:
            return self._dense(weight, None)

        def make() -> PackedLinear:
            return packer.pack_head(weight.to(self.device))

        return self._counted(self._repacking.linear(name, shape[0], make, kernel.restore))

    def publish(self) -> None:
        """All parameters were read: make the repacked linears visible in the cache."""
        self._repacking.publish()

    def discard(self) -> None:
        """Remove what a failed load left unfinished."""
        self._repacking.discard()

    def _select(self, in_features: int) -> Kernel:
        q = self._quantization
        if q is None:
            return select(Shape(self.device.type, None, in_features, 1, self._half))
        return select(Shape(self.device.type, q.bits, in_features, q.groups(in_features), self._half))

    def _packed(
        self, name: str, in_features: int, out_features: int, bias: torch.Tensor | None, q: Quantization
    ) -> Packed:
        group_size = in_features if q.group_size == -1 else q.group_size
        if in_features % group_size:
            raise CheckpointError(
                f"group_size {group_size} in the quantization settings of {self._config.folder} does not divide the"
                f" {in_features} input features of {name}: the settings belong to another checkpoint"
            )
        if in_features % 32 or out_features % 32:
            raise CheckpointError(
                f"{name} in {self._config.folder} has {in_features} x {out_features} features, and GPTQ packs multiples"
                " of 32: config.json and the weights don't fit together"
            )
        groups = in_features // group_size
        get = self._weights.get
        g_idx = torch.arange(in_features, dtype=torch.int32) // group_size
        if f"{name}.g_idx" in self._weights:
            g_idx = get(f"{name}.g_idx", (in_features,), ("I32", "I64"))
        inside = bool(((g_idx >= 0) & (g_idx < groups)).all())
        if not inside or not bool((torch.bincount(g_idx, minlength=groups) == group_size).all()):
            raise CheckpointError(
                f"{name}.g_idx in {self._config.folder} doesn't put {group_size} input features into each group:"
                " the file is damaged or its quantization settings belong to another checkpoint, download it again"
            )
        return Packed(
            qweight=get(f"{name}.qweight", (in_features * q.bits // 32, out_features), ("I32",)),
            qzeros=get(f"{name}.qzeros", (groups, out_features * q.bits // 32), ("I32",)),
            scales=get(f"{name}.scales", (groups, out_features)),
            g_idx=g_idx,
            bias=bias,
            bits=q.bits,
            zero_offset=1 if q.checkpoint_format == "gptq" else 0,
        )

    def _bias(self, name: str, out_features: int, expected: bool) -> torch.Tensor | None:
        if not expected and f"{name}.bias" not in self._weights:
            return None
        return self._weights.get(f"{name}.bias", (out_features,), FLOATS)

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float32 if self.device.type == "cpu" else self._half

    def _dense(self, weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        where, dtype = self.device, self._dtype
        return self._counted(DenseLinear(weight.to(where, dtype), None if bias is None else bias.to(where, dtype)))

    def _count(self, tensor: torch.Tensor) -> torch.Tensor:
        self._tally.nbytes += tensor.nbytes
        return tensor

    def _counted(self, linear: Linear) -> Linear:
        self._tally.nbytes += linear.nbytes
        return linear

    def _step(self) -> None:
        self._report(self._tally.linears / self._total, f"{self._repacking.doing} weights")
        self._tally.linears += 1
