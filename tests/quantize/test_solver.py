"""Round to nearest and packing, against the reference dequantizer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from starfill.engine.linear.reference import codes, dequantize, unpack_rows
from starfill.quantize.solver import RoundToNearest, pack_rows
from starfill.quantize.spec import Spec


@given(st.sampled_from((3, 4, 8)), st.integers(1, 3), st.integers(1, 5), st.integers(0, 2**32))
def test_packing_is_the_inverse_of_unpacking(bits: int, blocks: int, columns: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 2**bits, (32 * blocks, columns), generator=rng, dtype=torch.int32)
    packed = pack_rows(values, bits)
    assert packed.dtype == torch.int32 and packed.shape == (blocks * bits, columns)
    assert torch.equal(unpack_rows(packed, bits), values)


@pytest.mark.parametrize("sym", [True, False])
@pytest.mark.parametrize("group_size", [-1, 32, 64])
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_every_weight_is_at_most_half_a_step_away(bits: int, group_size: int, sym: bool) -> None:
    torch.manual_seed(bits + group_size)
    linear = torch.nn.Linear(128, 96, bias=False)
    with torch.no_grad():
        linear.weight[0] = linear.weight[0].abs() + 0.01  # all positive
        linear.weight[1] = -linear.weight[1].abs()
        linear.weight[2] = 0
        layer = RoundToNearest("", linear, Spec(bits, group_size, sym=sym)).solve()
        weight = linear.weight.t()
        step = layer.scales.float()[layer.g_idx.long()]
        assert ((dequantize(layer).float() - weight).abs() <= step * 0.51 + 1e-3 * weight.abs()).all()
    assert (dequantize(layer)[:, 2] == 0).all()
    zeros = codes(layer)[1]
    assert (zeros >= 1).all()  # 0 would be stored as all ones, which libraries read differently
    assert (zeros == 2 ** (bits - 1)).all() == sym
