"""Where a model takes its parameters from: tensors by name, already of the right kind for the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import torch

from starfill.engine.linear.select import Linear
from starfill.errors import CheckpointError

T = TypeVar("T", int, float, str)


class ParameterSource(Protocol):
    """device: where what is asked for goes. devices: of each layer, one after the other. quantized: are linears?"""

    quantized: bool
    device: torch.device
    devices: tuple[torch.device, ...]

    def at(self, layer: int) -> ParameterSource:
        """The same source for the parameters of one layer; -1 for what follows the last one."""
        ...

    def has(self, name: str) -> bool:
        """Whether the checkpoint holds a tensor of that name."""
        ...

    def tensor(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """A small parameter in float32."""
        ...

    def table(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """An embedding table in the checkpoint's dtype, mapped: only the rows that are looked up are ever read."""
        ...

    def linear(self, name: str, in_features: int, out_features: int, bias: bool) -> Linear:
        """bias: whether the architecture has one; where it doesn't, one that the file has is added all the same
        (older versions of auto-gptq wrote zeros)."""
        ...

    def head(self, name: str, tied: str | None, shape: tuple[int, ...]) -> Linear:
        """The output head, or the embedding table `tied` where the checkpoint has no head of its own; None: it must."""
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


def half(raw: Mapping[str, Any]) -> torch.dtype:
    """What a GPU computes a model with: bfloat16 where config.json says that the model was made with it."""
    return torch.bfloat16 if raw.get("dtype", raw.get("torch_dtype")) == "bfloat16" else torch.float16
