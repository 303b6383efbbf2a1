"""The loop over a model's layers: read one, quantize its linears in the order in which they run,
write them, free it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from starfill.engine.linear.reference import Packed, dequantize
from starfill.errors import CheckpointError
from starfill.quantize.activations import Activations
from starfill.quantize.skeleton import Skeleton
from starfill.quantize.solver import MakeSolver
from starfill.quantize.spec import Spec
from starfill.quantize.writer import Entry, TensorFile

PARTS = ("qweight", "qzeros", "scales", "g_idx")
LARGEST = torch.finfo(torch.float16).max


@dataclass(frozen=True, slots=True)
class QuantizeStep:
    """The linear that is being quantized."""

    layer: int  # from 1
    layers: int
    linear: str  # its name inside the layer
    fraction: float  # of all linears
    doing: str = "quantizing"


@dataclass(frozen=True, slots=True)
class LinearError:
    """How much a linear's output on the calibration text changed, relative to its size: a quotient of two norms."""

    layer: int  # from 1
    linear: str
    error: float


OnStep = Callable[[QuantizeStep], None]


def plan(skeleton: Skeleton, spec: Spec) -> dict[str, Entry]:
    """dtype and shape of each tensor of the quantized checkpoint; all but the packed ones are fp16."""
    entries: dict[str, Entry] = {}
    for name in skeleton.names:
        linear = name.removesuffix(".weight")
        if linear not in skeleton.linears:
            entries[name] = (torch.float16, skeleton.weights.entry(skeleton.stored(name)).shape)
            continue
        rows, columns = skeleton.linears[linear]
        groups = spec.groups(rows)
        entries |= {
            f"{linear}.qweight": (torch.int32, (rows * spec.bits // 32, columns)),
            f"{linear}.qzeros": (torch.int32, (groups, columns * spec.bits // 32)),
            f"{linear}.scales": (torch.float16, (groups, columns)),
            f"{linear}.g_idx": (torch.int32, (rows,)),
        }
    return entries


class LayerwiseRun:
    """One pass over the layers into a file that was made from `plan`."""

    def __init__(
        self, skeleton: Skeleton, spec: Spec, make_solver: MakeSolver, out: TensorFile, report: OnStep
    ) -> None:
        self._skeleton, self._spec, self._make_solver = skeleton, spec, make_solver
        self._out, self._report = out, report
        self._errors: list[LinearError] = []

    @torch.inference_mode()
    def __call__(self, sequences: Sequence[Sequence[int]]) -> list[LinearError]:
        """sequences: token ids to calibrate on. Each linear sees the ones before it quantized."""
        self._write_unquantized()
        activations = Activations(self._skeleton, sequences)
        for number in range(len(self._skeleton.layers)):
            layer = self._skeleton.load_layer(number)
            for group in activations.groups(layer):
                self._group(number, layer, group, activations)
            activations.advance(layer)
            self._skeleton.free(layer)
        return self._errors

    def _group(self, number: int, layer: nn.Module, group: list[str], activations: Activations) -> None:
        linears: dict[str, Any] = {name: layer.get_submodule(name) for name in group}
        full = {name: f"{self._skeleton.prefix}.{number}.{name}" for name in group}
        solvers = {name: self._make_solver(full[name], linears[name], self._spec) for name in group}
        last: list[torch.Tensor] = []

        def watch_for(name: str) -> Callable[[torch.Tensor], None]:
            def watch(inputs: torch.Tensor) -> None:
                solvers[name].see(inputs)
                last[:] = [inputs]

            return watch

        activations.watch(layer, {name: watch_for(name) for name in group})
        for name in group:
            done = len(self._errors) / len(self._skeleton.linears)
            self._report(QuantizeStep(number + 1, len(self._skeleton.layers), name, done))
            before = linears[name].weight.data.clone()
            packed = solvers.pop(name).solve()
            self._write(full[name], packed)
            after = dequantize(packed).t().to(before)
            linears[name].weight.data = after
            self._errors.append(LinearError(number + 1, name, _moved(last[0], before, after)))

    def _write(self, linear: str, packed: Packed) -> None:
        for part in PARTS:
            self._out.write(f"{linear}.{part}", getattr(packed, part))

    def _write_unquantized(self) -> None:
        quantized = {f"{name}.weight" for name in self._skeleton.linears}
        for name in self._skeleton.names:
            if name not in quantized:
                self._out.write(name, self._half(name))

    def _half(self, name: str) -> torch.Tensor:
        stored = self._skeleton.stored(name)
        entry = self._skeleton.weights.entry(stored)
        tensor = self._skeleton.weights.get(stored, entry.shape)
        if not bool((tensor.abs() <= LARGEST).all()):
            raise CheckpointError(
                f"tensor {name} in {entry.file} has values that are infinite or beyond fp16, the type of GPTQ"
                " checkpoints: this model can't be quantized"
            )
        return tensor.half()


def _moved(inputs: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> float:
    size = (inputs @ before.t()).norm()
    return float((inputs @ (after - before).t()).norm() / size.clamp(min=1e-12))
