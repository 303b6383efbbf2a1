"""Activation functions by their names in config.json."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch.nn import functional as F

from starfill.errors import CheckpointError

Activation = Callable[[torch.Tensor], torch.Tensor]


class Tabled:
    """A function of bfloat16 numbers on the CPU as a table of all 65,536 of them; other dtypes and devices pay for it.

    torch computes most of a tensor with vectors and the remainders one by one, and where those lie follows from the
    tensor's size and the number of threads. For gelu the two differ in the last bit of a few numbers, so that a warm
    answer could differ from the cold one. The table is also faster than gelu's tanh form (2.4x at 128 x 2560).
    """

    def __init__(self, function: Activation) -> None:
        self._function = function

    @cached_property
    def _table(self) -> torch.Tensor:
        every = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
        return self._function(every)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype != torch.bfloat16 or x.device.type != "cpu":
            return self._function(x)
        return self._table.index_select(0, x.view(torch.uint16).to(torch.int32).view(-1)).view(x.shape)


_GELU = Tabled(F.gelu)
_GELU_TANH = Tabled(partial(F.gelu, approximate="tanh"))
ACTIVATIONS: dict[str, Activation] = {
    "gelu_pytorch_tanh": _GELU_TANH,
    "gelu_fast": _GELU_TANH,
    "gelu_new": _GELU_TANH,
    "gelu": _GELU,
    "relu": F.relu,
    "silu": F.silu,  # the same bits for every bfloat16 number, however computed; so is relu
}


def check_activation(name: str, field: str, source: str) -> None:
    """Raises CheckpointError for one that Starfill doesn't know; field, source: where config.json names it."""
    if name not in ACTIVATIONS:
        raise CheckpointError(f"{field} {name!r} in {source} is not supported: Starfill runs {', '.join(ACTIVATIONS)}")
