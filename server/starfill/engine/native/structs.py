"""The structures of kernels.c, mirrored for ctypes. Their sizes are compared when the library is opened."""

from __future__ import annotations

import ctypes
from enum import IntEnum

_pointer, _int, _float, _long = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float, ctypes.c_int64


class ActivationKind(IntEnum):
    """`enum activation` in kernels.c."""

    SILU = 0
    GELU_TANH = 1
    GELU = 2


class LinearWeights(ctypes.Structure):
    """`struct linear` in kernels.c. Whoever makes one keeps alive the tensors that it points to."""

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


STRUCTS: tuple[type[ctypes.Structure], ...] = (
    LinearWeights,
    AttentionCall,
    NormParts,
    LayerParts,
    ModelParts,
    SequenceRows,
    Pass,
)
"""All of them, in the order in which `starfill_sizes` in kernels.c tells their sizes."""
