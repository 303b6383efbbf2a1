"""A pass of the decoder as one call of our kernels, without Python and torch's small operators between its steps.

For a large model these cost a tenth of a token's time, since its weights push their code out of the processor's caches;
for a small one more than half. The result is that of the blocks, up to the rounding of norms and rotations.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from starfill.engine.kv.kv_cache import KVCache, KVShape
from starfill.engine.linear.native import NativeLinear
from starfill.engine.linear.select import Linear
from starfill.engine.models.activation import Activation, StableActivation
from starfill.engine.models.norm import Norm
from starfill.engine.native.kernels import Native
from starfill.engine.native.library import native
from starfill.engine.native.structs import LayerParts, LinearWeights, ModelParts, NormParts, Pass, SequenceRows


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a block. qkv: one linear for all three, or one for each.

    up: the linear alone, the gate and it, or one linear for both if the MLP is `gated`.
    """

    before_attention: Norm
    qkv: tuple[Linear, ...]
    o: Linear
    before_mlp: Norm
    gated: bool
    up: tuple[Linear, ...]
    down: Linear
    activation: Activation

    @property
    def linears(self) -> tuple[Linear, ...]:
        return *self.qkv, self.o, *self.up, self.down


class Fused:
    """Holds pointers into the parts, and the parts."""

    def __init__(self, kernels: Native, model: ModelParts, vocab_size: int, keep: object) -> None:
        self._kernels, self._model, self._vocab_size, self._keep = kernels, model, vocab_size, keep

    @classmethod
    def of(cls, blocks: Sequence[Parts], norm: Norm, head: Linear, kv: KVShape, window: int | None) -> Fused | None:
        """None if the kernels can't run all of these parts."""
        kernels, first = native(), blocks[0]
        if kernels is None or kv.dtype != torch.float16:
            return None
        linears = [head, *(linear for parts in blocks for linear in parts.linears)]
        if not all(isinstance(linear, NativeLinear) for linear in linears) or not isinstance(
            first.activation, StableActivation
        ):
            return None
        layers = (LayerParts * len(blocks))(*map(_layer, blocks))
        model = ModelParts(
            layers=layers,
            before_head=_norm(norm),
            head=ctypes.pointer(_weights(head)),
            scale=kv.head_dim**-0.5,
            n_layer=len(blocks),
            hidden=len(norm.weight),
            inner=_weights(first.up[-1]).out_features,
            heads=_weights(first.o).in_features // kv.head_dim,
            kv_heads=kv.kv_heads,
            dim=kv.head_dim,
            window=window or 0,
            activation=first.activation.kind,
        )
        return cls(kernels, model, _weights(head).out_features, (layers, blocks, norm, head))

    def __call__(
        self,
        x: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor] | None,
        caches: Sequence[KVCache],
        last: int,
    ) -> torch.Tensor:
        """x float32 [R, hidden], overwritten: all rows of one cache, or one of each -> logits [last, vocab].

        Room in the caches must be reserved; `rotation` as in decoder.py.
        """
        rows = x.shape[0]
        logits = torch.empty(last, self._vocab_size)
        cosines, sines = rotation if rotation is not None else (None, None)
        sequences = (SequenceRows * len(caches))(
            *(
                SequenceRows(_pointers(cache.addresses()), cache.capacity, cache.length, rows // len(caches))
                for cache in caches
            )
        )
        call = Pass(
            x=x.data_ptr(),
            cosines=None if cosines is None else cosines.data_ptr(),
            sines=None if sines is None else sines.data_ptr(),
            sequence=sequences,
            logits=logits.data_ptr(),
            sequences=len(caches),
            rows=rows,
            last=last,
        )
        self._kernels.whole_pass(self._model, call)
        return logits


def _pointers(addresses: list[int]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(addresses))(*addresses)


def _weights(linear: Linear) -> LinearWeights:
    assert isinstance(linear, NativeLinear)  # `of` sees to it
    return linear.weights


def _norm(norm: Norm) -> NormParts:
    return NormParts(norm.weight.data_ptr(), None if norm.bias is None else norm.bias.data_ptr(), norm.eps)


def _layer(parts: Parts) -> LayerParts:
    names = ("q", "k", "v") if len(parts.qkv) == 3 else ("q",)
    linears = dict(zip(names, parts.qkv, strict=True)) | {"o": parts.o, "up": parts.up[-1], "down": parts.down}
    if parts.gated:
        linears["gate"] = parts.up[0]
    return LayerParts(
        before_attention=_norm(parts.before_attention),
        before_mlp=_norm(parts.before_mlp),
        **{name: ctypes.pointer(_weights(linear)) for name, linear in linears.items()},
    )
