"""GPUs that aren't there: tensors know which one they are on and have no contents, kernels compute nothing.

What this tells: whether everything that is computed together is on one device, the one that kernels are launched on,
and whether what is captured keeps to it: a graph can't take anything from the host, nor give it anything.
torch's fake tensors check it for its own operators; it can't index those of a GPU that it has no code for, so that is
done here by the operators beneath.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.overrides import TorchFunctionMode
from triton.runtime.interpreter import InterpretedFunction

from starfill.engine.cuda import dequantized_product, packed_product
from starfill.engine.kv import attention
from starfill.engine.linear import cuda
from starfill.engine.models import cuda_graphs

aten = torch.ops.aten


class HollowGPUs:
    """current: the index of the device that kernels are launched on. launched: their names, and where.

    capturing: whether what is computed is being captured; captured: how often something was.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.current = 0
        self.launched: list[tuple[str, int]] = []
        self.capturing = False
        self.captured = 0
        patch.setattr(torch.cuda, "device", self._device)
        patch.setattr(InterpretedFunction, "run", lambda kernel, *args, **named: self._run(kernel, args, named))
        patch.setattr(attention, "fused_attention", self._attention)
        patch.setattr(cuda_graphs, "CudaCapture", lambda device: self._capture)
        patch.setattr(packed_product, "multiprocessors", lambda device: 132)
        patch.setattr(cuda, "obstacle", lambda: None)
        dequantized_product.shared_buffer.cache_clear()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        try:
            with FakeTensorMode(allow_non_fake_inputs=True), _Operators(self), torch.inference_mode():
                yield
        finally:
            dequantized_product.shared_buffer.cache_clear()

    @contextmanager
    def _device(self, device: torch.device) -> Iterator[None]:
        before, self.current = self.current, device.index or 0
        try:
            yield
        finally:
            self.current = before

    def _run(self, kernel: Any, args: Sequence[object], named: Mapping[str, object]) -> None:
        name, here = kernel.fn.__name__, torch.device("cuda", self.current)
        where = {each.device for each in (*args, *named.values()) if isinstance(each, torch.Tensor)}
        assert where == {here}, f"{name} is launched on {here} with tensors on {where}"
        self.launched.append((name, self.current))

    def _capture(self, work: Callable[[], None]) -> Callable[[], None]:
        self.capturing = True
        try:
            work()
        finally:
            self.capturing = False
        self.captured += 1
        return work

    def _attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *_: object) -> torch.Tensor:
        assert q.device == k.device == v.device
        return k.new_empty(len(q), q.shape[1] * q.shape[2])


class _Operators(TorchFunctionMode):
    def __init__(self, gpus: HollowGPUs) -> None:
        super().__init__()
        self._gpus = gpus

    def __torch_function__(
        self, function: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = INSTEAD.get(function, function)(*args, **(kwargs or {}))
        if self._gpus.capturing:
            assert function not in OF_THE_HOST, function
            where = {each.device for each in (found, *args) if isinstance(each, torch.Tensor)}
            assert where <= {torch.device("cuda", self._gpus.current)}, function
        return found


def _set(tensor: torch.Tensor, index: Any, value: Any) -> None:
    part = _part(tensor, index)
    aten.copy_(part, value) if isinstance(value, torch.Tensor) else aten.fill_(part, value)


def _part(tensor: torch.Tensor, index: Any) -> torch.Tensor:
    index = index if isinstance(index, tuple) else (index,)
    dim, picked = 0, [None] * tensor.dim()
    for each in index:
        if each is Ellipsis:  # everything up to the last dimension's index
            dim = tensor.dim() - 1
            continue
        if each is None:
            tensor = aten.unsqueeze(tensor, dim)
        elif isinstance(each, slice):
            tensor = aten.slice(tensor, dim, each.start, each.stop, each.step or 1)
        elif isinstance(each, torch.Tensor):
            picked[dim] = each
        else:
            tensor, dim = aten.select(tensor, dim, each), dim - 1
        dim += 1
    return aten.index(tensor, picked) if any(each is not None for each in picked) else tensor


def _item(tensor: torch.Tensor) -> int:
    assert tensor.device.type == "cpu"  # nothing is read back from a GPU while a model computes
    return 0


# What takes numbers from the host or brings them there.
OF_THE_HOST = {torch.tensor, torch.as_tensor, torch.Tensor.item, torch.Tensor.__bool__}
INSTEAD: dict[Any, Callable[..., Any]] = {
    # What torch has code of its own for, which wants to know the device
    torch.Tensor.__getitem__: _part,
    torch.Tensor.__setitem__: _set,
    torch.Tensor.copy_: lambda tensor, other, non_blocking=False: aten.copy_(tensor, other),
    torch.Tensor.contiguous: lambda tensor: aten.clone(tensor, memory_format=torch.contiguous_format),
    # What depends on contents
    torch.Tensor.item: _item,  # and of a list
    torch.equal: lambda tensor, other: tensor.device == other.device,
    torch.Tensor.__bool__: lambda tensor: True,  # of a check that all is well
    torch.Tensor.data_ptr: lambda tensor: 1 << 12,
    torch.Tensor.exponential_: lambda tensor, rate, generator: tensor,  # there are no generators either
    torch.bincount: lambda tensor, minlength: tensor.new_empty(minlength),
}
