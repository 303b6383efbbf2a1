"""Norms over the last dimension, in float32. A row's result doesn't depend on how many rows there are."""

from __future__ import annotations

from typing import Protocol

import torch

from starfill.engine.models.parameters import ParameterSource


class Norm(Protocol):
    """bias None: divides by the root of the mean square, without subtracting the mean."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    eps: float

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


class LayerNorm:
    def __init__(self, source: ParameterSource, name: str, size: int, eps: float) -> None:
        self.weight = source.tensor(f"{name}.weight", (size,))
        self.bias: torch.Tensor | None = source.tensor(f"{name}.bias", (size,))
        self.eps = eps

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm:
    def __init__(self, source: ParameterSource, name: str, size: int, eps: float) -> None:
        self.weight = source.tensor(f"{name}.weight", (size,))
        self.bias: torch.Tensor | None = None
        self.eps = eps

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rms_norm(x, self.weight.shape, self.weight, self.eps)
