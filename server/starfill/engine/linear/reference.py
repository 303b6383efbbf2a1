"""The definition of a GPTQ linear layer, slow and exact. Every kernel is compared with it.

Format (auto-gptq 0.7.1, also written by gptqmodel), K input and N output features, 32 values in `bits` words:

    qweight  int32 [K * bits / 32, N]       code q[k, n], packed down the rows, low bits first
    qzeros   int32 [groups, N * bits / 32]  zero point of each group, packed the same way along the columns;
                                            "gptq" stores zero - 1, "gptq_v2" the zero itself
    scales   fp16  [groups, N]
    g_idx    int32 [K]                      the group of input row k; unsorted under desc_act

    W[k, n] = scales[g_idx[k], n] * (q[k, n] - zero[g_idx[k], n]), rounded once to the dtype of scales

W is the transpose of the weight of a torch.nn.Linear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What determines the bytes of a packed layer.

    groups: of input features that share a scale. zeros: whether zero points differ from the middle of the codes.
    ordered: whether input features are sorted by group (desc_act).
    """

    in_features: int
    out_features: int
    bits: int
    groups: int
    zeros: bool = False
    ordered: bool = False
    bias: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """The tensors of one quantized layer as the checkpoint stores them; bias [N] of any float dtype, or None."""

    qweight: torch.Tensor
    qzeros: torch.Tensor
    scales: torch.Tensor
    g_idx: torch.Tensor
    bias: torch.Tensor | None
    bits: int
    zero_offset: int  # 1 for "gptq", 0 for "gptq_v2"

    @property
    def in_features(self) -> int:
        return self.qweight.shape[0] * 32 // self.bits

    @property
    def out_features(self) -> int:
        return self.qweight.shape[1]

    def to(self, device: torch.device) -> Packed:
        """The same on another device."""
        names = ("qweight", "qzeros", "scales", "g_idx")
        bias = None if self.bias is None else self.bias.to(device)
        return replace(self, bias=bias, **{name: getattr(self, name).to(device) for name in names})

    def columns(self, start: int, stop: int) -> Packed:
        """The layer's output features start..stop, both multiples of 32. The tensors are views, so that little memory
        is needed.
        """
        return Packed(
            self.qweight[:, start:stop],
            self.qzeros[:, start * self.bits // 32 : stop * self.bits // 32],
            self.scales[:, start:stop],
            self.g_idx,
            None if self.bias is None else self.bias[start:stop],
            self.bits,
            self.zero_offset,
        )


def unpack_rows(packed: torch.Tensor, bits: int) -> torch.Tensor:
    """int32 [R, C] -> codes int32 [R * 32 / bits, C]; a 3-bit code may straddle two words."""
    rows, columns = packed.shape
    if 32 % bits == 0:  # whole codes in each word, for which 32-bit arithmetic is enough
        shift = torch.arange(0, 32, bits, dtype=torch.int32, device=packed.device)[None, :, None]
        return ((packed[:, None] >> shift) & ((1 << bits) - 1)).reshape(-1, columns)
    words = packed.view(rows // bits, bits, columns).to(torch.int64) & 0xFFFFFFFF
    words = torch.cat([words, torch.zeros_like(words[:, :1])], dim=1)
    first_bit = torch.arange(32, device=packed.device) * bits
    word, shift = first_bit // 32, (first_bit % 32)[None, :, None]
    window = words[:, word] | (words[:, word + 1] << 32)
    return ((window >> shift) & ((1 << bits) - 1)).to(torch.int32).reshape(-1, columns)


def codes(layer: Packed) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """q int32 [K, N], zero int32 [groups, N], group int64 [K].

    A stored zero of all ones (an asymmetric zero point of 0 in the "gptq" format) wraps around to 0, as in auto-gptq's
    reference path.
    """
    q = unpack_rows(layer.qweight, layer.bits)
    stored = unpack_rows(layer.qzeros.t().contiguous(), layer.bits).t()
    zero = (stored + layer.zero_offset) & ((1 << layer.bits) - 1)
    return q, zero, layer.g_idx.long()


def dequantize(layer: Packed) -> torch.Tensor:
    """W [K, N] in the dtype of scales."""
    q, zero, group = codes(layer)
    return (layer.scales.float()[group] * (q - zero[group]).float()).to(layer.scales.dtype)


def linear(x: torch.Tensor, layer: Packed) -> torch.Tensor:
    """x [..., K] -> [..., N] float32: the exact product that the kernels are compared with."""
    y = x.float() @ dequantize(layer).float()
    return y if layer.bias is None else y + layer.bias.float()
