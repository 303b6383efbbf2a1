"""The kernels between products against torch's formulas, on random inputs and poisoned outputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from starfill.engine.cuda import elementwise as kernels
from starfill.engine.models.rotary import rotate

NAN = float("nan")
ROWS = 3
DTYPES = (torch.float16, torch.bfloat16)


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Within the rounding of the found dtype."""
    steps = 2 * torch.finfo(found.dtype).eps if found.dtype != torch.float32 else 1e-5
    return torch.allclose(found.float(), expected.float(), rtol=steps, atol=steps)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("centred", [True, False], ids=["LayerNorm", "RMSNorm"])
@pytest.mark.parametrize("splits", [0, 1, 3])
def test_settle(splits: int, centred: bool, dtype: torch.dtype) -> None:
    width = 40
    x, weight, shift, bias = torch.randn(ROWS, width) + 3, torch.randn(width), torch.randn(width), torch.randn(width)
    parts = torch.randn(splits, ROWS, width)
    expected = x + parts.sum(0) + bias if splits else x.clone()
    h = torch.full((ROWS + 1, width), NAN, dtype=dtype)
    kernels.settle[ROWS,](
        x, parts if splits else None, bias, weight, shift if centred else None, h, 1e-3, width, 64, splits
    )
    assert close(x, expected)
    shape = (width,)
    normed = (
        F.layer_norm(expected, shape, weight, shift, 1e-3) if centred else F.rms_norm(expected, shape, weight, 1e-3)
    )
    assert close(h[:ROWS], normed)
    assert h[ROWS].isnan().all()


FUNCTIONS: dict[int, Callable[[torch.Tensor], torch.Tensor]] = {
    kernels.NONE.value: lambda x: x,
    kernels.RELU.value: F.relu,
    kernels.SILU.value: F.silu,
    kernels.GELU.value: F.gelu,
    kernels.GELU_TANH.value: lambda x: F.gelu(x, approximate="tanh"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # dividing by infinity is what is wanted then
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_activate(kind: int, gated: bool) -> None:
    width = 40
    up, gate = torch.randn(2, ROWS, width) * 4, torch.randn(3, ROWS, width) * 4
    (gate if gated else up)[0, 0, :4] = torch.tensor([-100.0, 100.0, -1e4, 0.0])
    bias = torch.randn(width)
    out = torch.full((ROWS + 1, width), NAN)
    how = {"WIDTH": width, "BLOCK": 32, "UP_WIDTH": width, "GATE_WIDTH": width, "UP_SPLITS": 2, "GATE_SPLITS": 3}
    kernels.activate[ROWS, 2](up, gate if gated else None, bias, None, out, **how, KIND=kind)
    total = up.sum(0) + bias
    expected = FUNCTIONS[kind](gate.sum(0)) * total if gated else FUNCTIONS[kind](total)
    assert close(out[:ROWS], expected)
    assert out[ROWS].isnan().all()


def test_activate_of_one_product_for_both() -> None:
    width = 40
    both, bias = torch.randn(3, ROWS, 2 * width), torch.randn(2 * width)
    out = torch.full((ROWS + 1, width), NAN)
    how = {"UP_WIDTH": 2 * width, "GATE_WIDTH": 2 * width, "UP_SPLITS": 3, "GATE_SPLITS": 3}
    kernels.activate[ROWS, 2](
        both[:, :, width:], both, bias[width:], bias, out, WIDTH=width, BLOCK=32, **how, KIND=kernels.SILU.value
    )
    gate, up = (both.sum(0) + bias).split(width, 1)
    assert close(out[:ROWS], F.silu(gate) * up)
    assert out[ROWS].isnan().all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("fused", [True, False], ids=["one linear", "three"])
@pytest.mark.parametrize("rotary", [True, False], ids=["rotary", "plain"])
def test_spread(rotary: bool, fused: bool, dtype: torch.dtype) -> None:
    heads, kv_heads, dim = 4, 2, 16
    widths = (heads * dim, kv_heads * dim, kv_heads * dim)
    positions, capacities = torch.tensor([5, 6, 130]), torch.tensor([128, 128, 256])
    first, second = torch.full((2, kv_heads, 128, dim), NAN), torch.full((2, kv_heads, 256, dim), NAN)
    stores = [first.to(dtype), second.to(dtype)]
    addresses = torch.tensor([stores[n].data_ptr() for n in (0, 0, 1)])
    angles = torch.randn(ROWS, 1, dim)
    cos, sin = (angles.cos(), angles.sin()) if rotary else (None, None)
    if fused:
        whole, bias = torch.randn(2, ROWS, sum(widths)), torch.randn(sum(widths))
        parts, biases = list(whole.split(widths, 2)), list(bias.split(widths))
    else:
        parts, biases = [torch.randn(2, ROWS, width) for width in widths], [torch.randn(width) for width in widths]
    q = torch.full((ROWS + 1, heads, dim), NAN, dtype=dtype)
    strides = [part.stride(1) for part in parts]
    kernels.spread[ROWS, heads + 2 * kv_heads](
        *parts, *biases, cos, sin, q, positions, capacities, addresses, heads, kv_heads, dim, *strides, 2, 2, 2
    )
    queries, keys, values = ((part.sum(0) + bias).view(ROWS, -1, dim) for part, bias in zip(parts, biases, strict=True))
    if cos is not None and sin is not None:
        queries, keys = rotate(queries, (cos, sin)), rotate(keys, (cos, sin))
    assert close(q[:ROWS], queries)
    assert q[ROWS].isnan().all()
    for row, (store, place) in enumerate(((0, 5), (0, 6), (1, 130))):
        assert close(stores[store][0, :, place], keys[row])
        assert close(stores[store][1, :, place], values[row])
        stores[store][:, :, place] = NAN
    assert all(bool(store.isnan().all()) for store in stores)  # nothing was written elsewhere
