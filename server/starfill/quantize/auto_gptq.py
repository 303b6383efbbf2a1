"""auto-gptq's solver and packer for one linear layer. GPTQ: Frantar et al., arXiv 2210.17323.

The library's own loop over a model isn't used: it needs a GPU, holds the whole model, and knows few architectures.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from starfill.engine.linear.reference import Packed
from starfill.errors import SettingsError
from starfill.quantize.solver import MakeSolver
from starfill.quantize.spec import Spec


def solver() -> MakeSolver:
    """Raises SettingsError if the library can't be imported."""
    # it warns of missing CUDA kernels, which solving doesn't use
    logging.getLogger("auto_gptq").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from auto_gptq.nn_modules.qlinear.qlinear_cuda import QuantLinear
            from auto_gptq.quantization.gptq import GPTQ
    except ImportError as error:
        raise SettingsError(
            f"auto-gptq can't be imported here ({error}): install starfill[auto-gptq] into an environment of its"
            " own with Python 3.11, since it needs an older transformers"
        ) from None
    return lambda name, linear, spec: AutoGPTQ(linear, spec, GPTQ, QuantLinear)


class AutoGPTQ:
    def __init__(self, linear: nn.Linear, spec: Spec, gptq: Any, quant_linear: Any) -> None:
        self._linear, self._spec, self._packer = linear, spec, quant_linear
        self._gptq = gptq(linear)
        self._gptq.quantizer.configure(spec.bits, perchannel=True, sym=spec.sym, mse=False)
        if not spec.sym:
            _keep_zeros_from_zero(self._gptq.quantizer)

    def see(self, inputs: torch.Tensor) -> None:
        self._gptq.add_batch(inputs, None)

    def solve(self) -> Packed:
        linear, spec = self._linear, self._spec
        try:
            with _no_synchronizing():
                scales, zeros, g_idx = self._gptq.fasterquant(
                    percdamp=spec.damp, group_size=spec.group_size, actorder=spec.desc_act
                )
        except RuntimeError:
            raise SettingsError(
                f"the calibration text doesn't determine a layer of {linear.in_features} x {linear.out_features}"
                f" features: give more text with --samples, or raise --damp above {spec.damp}"
            ) from None
        packed = self._packer(spec.bits, spec.group_size, linear.in_features, linear.out_features, bias=False)
        bare = nn.Linear(1, 1, bias=False)  # the packer reads its weight and whether it has a bias
        bare.weight = nn.Parameter(linear.weight.cpu(), False)
        packed.pack(bare, scales.cpu(), zeros.cpu(), g_idx.cpu())
        return Packed(
            qweight=packed.qweight,
            qzeros=packed.qzeros,
            scales=packed.scales.half(),
            g_idx=packed.g_idx,
            bias=None,
            bits=spec.bits,
            zero_offset=1,
        )


def _keep_zeros_from_zero(quantizer: Any) -> None:
    """A zero point of 0 would be stored as -1, which the packer lets overflow into its neighbours: such groups use
    1..top.
    """
    find = quantizer.find_params

    def find_params(values: torch.Tensor, **options: Any) -> None:
        find(values, **options)
        high = values.flatten(1).amax(1).clamp(min=0).reshape(quantizer.scale.shape)
        positive = quantizer.zero < 1
        quantizer.scale = torch.where(positive, high / (quantizer.maxq - 1), quantizer.scale)
        quantizer.zero = torch.where(positive, 1.0, quantizer.zero)

    quantizer.find_params = find_params


@contextmanager
def _no_synchronizing() -> Iterator[None]:
    """The solver calls torch.cuda.synchronize() on every device. Without CUDA that must do nothing."""
    if torch.cuda.is_available():
        yield
    else:
        with patch("torch.cuda.synchronize"):
            yield
