"""Packed weights as the kernels read them: as many bits as in the checkpoint, in another order.

The order is made for tensor cores, which want pairs of neighbouring input features in the halves of a word. Input
features are divided into blocks of 128, the last one padded. For each block a column has 4 * bits neighbouring words:

    bits 4   input feature 32 * p + 2 * i + h at place p (bits 4 * p ..) of half h of word i
    bits 8   the same in each half of the block, which has 16 words and two places
    bits 3   its two low bits at 2 * p + 8 * (i // 8) of half h of word i % 8, its high bit at p + 4 * (i // 4) of half
             h of word 8 + i % 4

Under desc_act the input features are sorted by group when packing, and the kernels read the activations in that order.
This file doesn't use Triton.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

ROWS = 16  # rows of input that the packed product takes at most
BLOCK = 128  # input features in a block


def launching_on(device: torch.device) -> AbstractContextManager[object]:
    """Launch kernels on the device of their arguments: Triton uses the current device, which may be another one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@dataclass(frozen=True, slots=True, eq=False)
class PackedWeights:
    """The weights of one linear layer.

    words int32 [blocks, columns, 4 * bits], where columns is out_features, padded; scales [groups, columns] in the
    dtype in which the checkpoint stores them; zeros uint8 [groups, columns], None if each is the middle of the codes;
    order int32 [in_features], the input feature at each place, None if unsorted; bias float32 [out_features]. dtype: of
    input and output, fp16 or bf16.
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
        """How many blocks share a scale; 0 if all do."""
        groups = len(self.scales)
        return 0 if groups == 1 else max(1, self.in_features // groups // BLOCK)


def grain_of(in_features: int, groups: int) -> int:
    """How many input features of a block share a scale, at most, where `groups` of equal size have one scale each."""
    return BLOCK if groups == 1 else math.gcd(BLOCK, in_features // groups)
