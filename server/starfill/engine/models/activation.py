"""Activation functions, by their names in config.json."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch.nn import functional as F

from starfill.engine.native.library import native
from starfill.engine.native.structs import ActivationKind
from starfill.errors import CheckpointError

Activation = Callable[[torch.Tensor], torch.Tensor]


class StableActivation:
    """A function whose result for a number doesn't depend on the numbers around it.

    torch computes most of a tensor in vectors and the rest one by one; the tensor's size and the number of threads
    decide what that rest is. For gelu the two differ in the last bit of a few numbers, so that a warm answer could
    differ from the cold one. On the CPU our own kernel computes float32. bfloat16, which torch's int4 product gives, is
    looked up in a table of all 65,536 values. Anything else is left to torch.
    """

    def __init__(self, function: Activation, kind: ActivationKind) -> None:
        self._function = function
        self.kind = kind

    @cached_property
    def _table(self) -> torch.Tensor:
        every = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
        return self._function(every)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type == "cpu":
            if x.dtype == torch.bfloat16:
                return self._table.index_select(0, x.view(torch.uint16).to(torch.int32).view(-1)).view(x.shape)
            if x.dtype == torch.float32 and (kernels := native()) is not None:
                return kernels.activation(x, self.kind)
        return self._function(x)


_GELU = StableActivation(F.gelu, ActivationKind.GELU)
_GELU_TANH = StableActivation(partial(F.gelu, approximate="tanh"), ActivationKind.GELU_TANH)
ACTIVATIONS: dict[str, Activation] = {
    "gelu_pytorch_tanh": _GELU_TANH,
    "gelu_fast": _GELU_TANH,
    "gelu_new": _GELU_TANH,
    "gelu": _GELU,
    "relu": F.relu,
    "silu": StableActivation(F.silu, ActivationKind.SILU),
}


def check_activation(name: str, field: str, source: str) -> None:
    """Raises CheckpointError for an unknown activation. field, source: where config.json names it."""
    if name not in ACTIVATIONS:
        raise CheckpointError(f"{field} {name!r} in {source} is not supported: Starfill runs {', '.join(ACTIVATIONS)}")
