"""Weights as the kernels read them: packed, as many bits as the checkpoint's own words have, but in another order.

That order is made for tensor cores, which want pairs of neighbouring input
features in the halves of a word. Input features come in blocks of 128, the last one filled up; a column has 4 * bits
neighbouring words for each block:

    bits 4   input feature 32 * p + 2 * i + h at place p (bits 4 * p ..) of half h of word i
    bits 8   the same in each half of the block, which has 16 words and two places
    bits 3   its two low bits at 2 * p + 8 * (i // 8) of half h of word i % 8, its high bit at p + 4 * (i // 4) of half
             h of word 8 + i % 4

Under desc_act the input features are sorted by group when packing; the kernels look the activations up in that order.
No Triton in here.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

ROWS = 16  # of input that the packed product takes
BLOCK = 128  # input features that stand together


def launching_on(device: torch.device) -> AbstractContextManager[object]:
    """Kernels are launched on the current device, which needn't be the one that holds what they are given."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@dataclass(frozen=True, slots=True, eq=False)
class PackedWeights:
    """The weights of one linear layer.

    words int32 [blocks, columns, 4 * bits], columns being out_features filled up; scales [groups, columns] in the
    dtype that they were stored in; zeros uint8 [groups, columns], None where all are the middle of the codes; order
    int32 [in_features], the input feature that stands at each place, None when in their own order; bias float32
    [out_features]. dtype: of input and output, fp16 or bf16.
    """

    words: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor | None
    order: torch.Tensor | None
    bias: torch.Tensor | None
    bits: int
    in_features: int
    out_features: int
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors().values())

    def tensors(self) -> dict[str, torch.Tensor]:
        found = {"words": self.words, "scales": self.scales}
        found |= {"zeros": self.zeros} if self.zeros is not None else {}
        found |= {"order": self.order} if self.order is not None else {}
        return found | ({"bias": self.bias} if self.bias is not None else {})

    @property
    def grain(self) -> int:
        """How many input features of a block share a scale: 128, 64 or 32."""
        return grain_of(self.in_features, len(self.scales))

    @property
    def span(self) -> int:
        """How many blocks share a scale, 0 for all of them."""
        groups = len(self.scales)
        return 0 if groups == 1 else max(1, self.in_features // groups // BLOCK)


def grain_of(in_features: int, groups: int) -> int:
    """The most input features of a block that share a scale, where `groups` of equal size have one each."""
    return BLOCK if groups == 1 else math.gcd(BLOCK, in_features // groups)
