"""Where a model takes its parameters from: tensors by name, already of the right kind for the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import torch

from starfill.engine.linear.select import Linear
from starfill.errors import CheckpointError

T = TypeVar("T", int, float, str)


class Source(Protocol):
    device: torch.device

    def tensor(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """A small parameter in float32."""
        ...

    def table(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """An embedding table in the checkpoint's dtype, mapped: only the rows that are looked up are ever read."""
        ...

    def linear(self, name: str, in_features: int, out_features: int) -> Linear: ...

    def head(self, name: str, tied: str, shape: tuple[int, ...]) -> Linear:
        """The output head, or the embedding table `tied` where the checkpoint has no head of its own."""
        ...


def field(raw: Mapping[str, Any], name: str, kind: type[T], source: str, default: T | None = None) -> T:
    """A number or string of config.json. Raises CheckpointError when it is missing or of another type."""
    value = raw.get(name)
    if value is None:
        value = default
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (isinstance(value, int) and value <= 0):
        raise CheckpointError(f"{name} is {raw.get(name)!r} in {source}: copy config.json again from the model's page")
    return value
