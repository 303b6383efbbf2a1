"""The kernels in `kernels.c`, built when Starfill is installed where there is a C compiler; else torch computes.

They run on x86-64 with AVX2 or AVX-512, on the threads that torch has. What each computes is said in `kernels.c`.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import os
import re
from collections.abc import Callable
from enum import IntEnum
from functools import cache
from pathlib import Path

import torch

LIBRARY = "_kernels"
INTERFACE = 3  # as in kernels.c; a library of another one was built from older or newer sources
AGAIN = "install Starfill again"

_pointer, _int, _float, _long = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float, ctypes.c_int64


class Activation(IntEnum):
    """`enum activation` in kernels.c."""

    SILU = 0
    GELU_TANH = 1
    GELU = 2


class LinearWeights(ctypes.Structure):
    """`struct linear` in kernels.c. Whoever makes one keeps the tensors that it points to."""

    _fields_ = (
        *((name, _pointer) for name in ("words", "scales", "zeros", "bias", "order")),
        ("gain", _float),
        *((name, _int) for name in ("bits", "in_features", "out_features", "block", "blocks_per_group")),
    )


class AttentionCall(ctypes.Structure):
    """`struct attention` in kernels.c."""

    _fields_ = (
        *((name, _pointer) for name in ("q", "keys", "values", "out")),
        ("capacity", _long),
        ("scale", _float),
        *((name, _int) for name in ("rows", "heads", "kv_heads", "dim", "start", "window", "half")),
    )


class NormParts(ctypes.Structure):
    """`struct norm` in kernels.c."""

    _fields_ = (("weight", _pointer), ("bias", _pointer), ("eps", _float))


class LayerParts(ctypes.Structure):
    """`struct layer` in kernels.c; pointers to linears."""

    _fields_ = (
        *((name, NormParts) for name in ("before_attention", "before_mlp")),
        *((name, ctypes.POINTER(LinearWeights)) for name in ("q", "k", "v", "o", "gate", "up", "down")),
    )


class ModelParts(ctypes.Structure):
    """`struct model` in kernels.c."""

    _fields_ = (
        ("layers", ctypes.POINTER(LayerParts)),
        ("before_head", NormParts),
        ("head", ctypes.POINTER(LinearWeights)),
        ("scale", _float),
        *((name, _int) for name in ("n_layer", "hidden", "inner", "heads", "kv_heads", "dim", "window", "activation")),
    )


class SequenceRows(ctypes.Structure):
    """`struct sequence` in kernels.c."""

    _fields_ = (("kv", ctypes.POINTER(_pointer)), ("capacity", _long), ("start", _int), ("rows", _int))


class Pass(ctypes.Structure):
    """`struct pass` in kernels.c."""

    _fields_ = (
        *((name, _pointer) for name in ("x", "cosines", "sines")),
        ("sequence", ctypes.POINTER(SequenceRows)),
        ("logits", _pointer),
        *((name, _int) for name in ("sequences", "rows", "last")),
    )


class Native:
    """The library's functions over tensors, float32 where nothing else is said, and on the CPU.

    isa: bits of the vectors that it uses, 512 or 256. threads: how many compute; the results are the same.
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
        """All layers and the head, see kernels.c; whoever calls keeps what the structures point to."""
        if self._pass(model, rows, self.threads, self.isa):
            raise MemoryError

    def attention(
        self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, start: int, scale: float, window: int | None
    ) -> torch.Tensor:
        """q [T, heads, D] at positions start.. of a sequence; keys, values [kv_heads, capacity, D] -> [T, heads * D].

        A row looks at its own position and those before it, `window` of them at most. keys and values are float32 or
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

    def activation(self, x: torch.Tensor, kind: Activation) -> torch.Tensor:
        """Elementwise, of any shape."""
        x = x.contiguous()
        out = torch.empty_like(x)
        self._activation(x.data_ptr(), out.data_ptr(), x.numel(), kind, self.threads, self.isa)
        return out


@cache
def native() -> Native | None:
    """The kernels, or None where they weren't built, can't run, or are turned off (STARFILL_NATIVE=0)."""
    found = _opened()
    return found if isinstance(found, Native) else None


def why_not() -> str | None:
    """Why `native` is None, for the doctor."""
    found = _opened()
    return found if isinstance(found, str) else None


@cache
def _opened() -> Native | str:
    return open_library(Path(__file__).parent, INTERFACE, openmp_runtimes)


def open_library(folder: Path, interface: int, runtimes: Callable[[], set[str]]) -> Native | str:
    """The kernels in a folder, or why there are none. runtimes: see `openmp_runtimes`; asked once they are loaded."""
    if os.environ.get("STARFILL_NATIVE") == "0":
        return "turned off by STARFILL_NATIVE=0"
    paths = [folder / (LIBRARY + suffix) for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return f"not built: {AGAIN} where there is a C compiler"
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        return f"{path.name} can't be loaded: {error}"
    if not hasattr(library, "starfill_interface") or library.starfill_interface() != interface:
        return f"built from other sources: {AGAIN}"
    if not (isa := library.starfill_isa()):
        return "this processor has no AVX2"
    if len(runtimes()) > 1:
        # Two pools of threads on the same cores: libgomp then lets its threads sleep between operations.
        return "torch brings another OpenMP runtime than the one that the kernels were built for"
    return Native(library, isa)


def openmp_runtimes() -> set[str]:
    """The OpenMP libraries that this process has mapped."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return set(re.findall(r"\S*/lib(?:gomp|iomp5|omp)[\w.-]*\.so[\w.]*", maps))
