"""The source of a model's parameters: tensors by name, of the right kind for the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import torch

from starfill.engine.linear.select import Linear
from starfill.errors import CheckpointError

T = TypeVar("T", int, float, str)


class ParameterSource(Protocol):
    """device: of the parameters that are asked for. devices: of each layer, in order. quantized: whether the linears
    are.
    """

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
        """An embedding table in the checkpoint's dtype, mapped: only the rows that are looked up are read."""
        ...

    def linear(self, name: str, in_features: int, out_features: int, bias: bool) -> Linear:
        """bias: whether the architecture has one. If it has none, a bias in the file is added all the same (older
        versions of auto-gptq wrote zeros).
        """
        ...

    def head(self, name: str, tied: str | None, shape: tuple[int, ...]) -> Linear:
        """The output head. If the checkpoint has none, the embedding table `tied`; tied None: the checkpoint must have
        one.
        """
        ...


def field(raw: Mapping[str, Any], name: str, kind: type[T], source: str, default: T | None = None) -> T:
    """A number or string of config.json. Raises CheckpointError if it is missing or of another type."""
    value = raw.get(name)
    if value is None:
        value = default
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (isinstance(value, int) and value <= 0):
        raise CheckpointError(f"{name} is {raw.get(name)!r} in {source}: copy config.json again from the model's page")
    return value


def half(raw: Mapping[str, Any]) -> torch.dtype:
    """The dtype with which a GPU computes: bfloat16 if config.json says that the model was made with it, else
    float16.
    """
    return torch.bfloat16 if raw.get("dtype", raw.get("torch_dtype")) == "bfloat16" else torch.float16
