"""A linear layer with unpacked weights: for unquantized checkpoints, and for GPTQ layers that no packed kernel
takes.
"""

from __future__ import annotations

import torch

from starfill.engine.linear.reference import Packed, dequantize


class DenseLinear:
    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self.weight = weight  # [N, K]
        self.bias = bias  # [N]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x [T, K] of any float dtype -> [T, N] in the weight's dtype."""
        return torch.nn.functional.linear(x.to(self.weight.dtype), self.weight, self.bias)

    @property
    def nbytes(self) -> int:
        return self.weight.nbytes + (0 if self.bias is None else self.bias.nbytes)


def dense_nbytes(in_features: int, out_features: int, itemsize: int, bias: bool) -> int:
    """Bytes of a layer. itemsize: bytes of a weight, 4 on the CPU, 2 on a GPU."""
    return (in_features + bias) * out_features * itemsize


def unpack(layer: Packed, dtype: torch.dtype, device: torch.device) -> DenseLinear:
    weight = dequantize(layer).t().to(device, dtype).contiguous()
    return DenseLinear(weight, None if layer.bias is None else layer.bias.to(device, dtype))
