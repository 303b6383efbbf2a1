"""The functions of kernels.c, called with tensors."""

from __future__ import annotations

import ctypes

import torch

from starfill.engine.native.structs import ActivationKind, AttentionCall, LinearWeights, ModelParts, Pass

_pointer, _int, _long = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64


class Native:
    """The library's functions, called with tensors on the CPU, float32 unless said otherwise.

    isa: bits of the vectors that it uses, 512 or 256. threads: how many compute; the results are the same for any
    number.
    """

    def __init__(self, library: ctypes.CDLL, isa: int) -> None:
        self.isa = isa
        self.threads = torch.get_num_threads()
        self._linear = library.starfill_linear
        self._linear.argtypes = [_pointer, _pointer, _pointer, _int, _int, _int]
        self._attention = library.starfill_attention
        self._attention.argtypes = [_pointer, _int, _int]
        self._pass = library.starfill_pass
        self._pass.argtypes = [ctypes.POINTER(ModelParts), ctypes.POINTER(Pass), _int, _int]
        self._activation = library.starfill_activation
        self._activation.argtypes = [_pointer, _pointer, _long, _int, _int, _int]
        self._activation.restype = None

    def linear(self, weights: LinearWeights, x: torch.Tensor) -> torch.Tensor:
        """x [T, in_features] -> [T, out_features]."""
        x = x.contiguous()
        rows = x.shape[0]  # len() of a tensor takes three times as long
        y = torch.empty(rows, weights.out_features)
        if self._linear(ctypes.addressof(weights), x.data_ptr(), y.data_ptr(), rows, self.threads, self.isa):
            raise MemoryError
        return y

    def whole_pass(self, model: ModelParts, rows: Pass) -> None:
        """All layers and the head, see kernels.c. The caller keeps alive what the structures point to."""
        if self._pass(model, rows, self.threads, self.isa):
            raise MemoryError

    def attention(
        self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, start: int, scale: float, window: int | None
    ) -> torch.Tensor:
        """q [T, heads, D] at positions start.. of a sequence; keys, values [kv_heads, capacity, D] -> [T, heads * D].

        A row sees its own position and those before it, at most `window` of them. keys and values are float32 or
        float16, and may be slices of larger storage: only their last two dimensions must be contiguous. Capacity is a
        multiple of 128.
        """
        q = q.contiguous()
        rows, heads, dim = q.shape
        out = torch.empty(rows, heads * dim)
        call = AttentionCall(
            q.data_ptr(), keys.data_ptr(), values.data_ptr(), out.data_ptr(), keys.stride(0) // dim, scale,
            rows, heads, keys.shape[0], dim, start, window or 0, keys.dtype == torch.float16,
        )  # fmt: skip
        if self._attention(ctypes.addressof(call), self.threads, self.isa):
            raise MemoryError
        return out

    def activation(self, x: torch.Tensor, kind: ActivationKind) -> torch.Tensor:
        """Elementwise, of any shape."""
        x = x.contiguous()
        out = torch.empty_like(x)
        self._activation(x.data_ptr(), out.data_ptr(), x.numel(), kind, self.threads, self.isa)
        return out
