"""Our kernels against torch, and each row's bits against those of the same row in other company."""

from __future__ import annotations

import importlib.machinery
import platform
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from starfill.engine.kv.attention import CausalWindow, attention
from starfill.engine.kv.kv_cache import BLOCK
from starfill.engine.models.activation import ACTIVATIONS
from starfill.engine.native import library as module
from starfill.engine.native.kernels import Native
from starfill.engine.native.library import native, open_library, openmp_runtimes, why_not
from starfill.engine.native.structs import STRUCTS, ActivationKind

CPU = torch.device("cpu")


@pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.system() != "Linux" or shutil.which("cc") is None,
    reason="the kernels are written for x86-64, and built where there is a C compiler",
)
def test_they_were_built_here() -> None:
    assert why_not() is None
    assert native() is not None


def cache(
    kv_heads: int, length: int, dim: int, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values as a KV cache keeps them: whole blocks of larger storage, with old numbers beyond the length."""
    storage = torch.randn(2, kv_heads, length + 3 * BLOCK, dim, generator=torch.Generator().manual_seed(dim)).to(dtype)
    used = -(-length // BLOCK) * BLOCK
    return storage[0, :, :used], storage[1, :, :used]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("window", [None, 100, 1])
@pytest.mark.parametrize(
    "heads,kv_heads,dim", [(16, 1, 128), (4, 1, 64), (8, 8, 64), (6, 2, 80), (4, 4, 256), (3, 3, 16)]
)
def test_attention(
    kernels: Native, heads: int, kv_heads: int, dim: int, window: int | None, dtype: torch.dtype
) -> None:
    length, scale = 300, dim**-0.5
    keys, values = cache(kv_heads, length, dim, dtype)
    q = 2 * torch.randn(length, heads, dim, generator=torch.Generator().manual_seed(1))
    together = kernels.attention(q, keys, values, 0, scale, window)
    expected = attention(q, keys.float(), values.float(), CausalWindow(0, length, window, CPU).mask, scale)
    assert torch.allclose(together, expected, atol=2e-5)
    for start, stop in ((0, 1), (299, 300), (100, 103), (5, 133), (127, 129), (255, 300), (256, 257)):
        later_keys, later_values = keys.clone(), values.clone()
        later_keys[:, stop:], later_values[:, stop:] = 1e3, -1e3  # what stands behind must not matter
        alone = kernels.attention(q[start:stop], later_keys, later_values, start, scale, window)
        assert torch.equal(alone, together[start:stop]), (start, stop)


def test_attention_takes_scores_of_any_size(kernels: Native) -> None:
    keys, values = cache(1, 200, 32)
    q = torch.randn(200, 4, 32, generator=torch.Generator().manual_seed(2))
    for size in (1e-6, 1e3, 1e6):
        expected = attention(size * q, keys, values, CausalWindow(0, 200, None, CPU).mask, 1.0)
        assert torch.allclose(kernels.attention(size * q, keys, values, 0, 1.0, None), expected, atol=1e-3)


@pytest.mark.parametrize(
    "kind,function",
    [
        (ActivationKind.SILU, F.silu),
        (ActivationKind.GELU, F.gelu),
        (ActivationKind.GELU_TANH, lambda x: F.gelu(x, approximate="tanh")),
    ],
)
def test_activations(kernels: Native, kind: ActivationKind, function: object) -> None:
    x = torch.cat([6 * torch.randn(1001, generator=torch.Generator().manual_seed(3)), torch.tensor([0.0, 50.0, -50.0])])
    y = kernels.activation(x, kind)
    assert torch.allclose(y, function(x), atol=2e-6)  # type: ignore[operator]
    assert torch.equal(y, torch.cat([kernels.activation(x[i : i + 1], kind) for i in range(len(x))]))
    extreme = torch.tensor([1e4, 1e20, -1e4, -1e20])
    assert torch.allclose(kernels.activation(extreme, kind), torch.tensor([1e4, 1e20, 0.0, 0.0]))


def test_models_use_them(kernels: Native) -> None:
    x = torch.randn(3, 50)
    for name, kind in (
        ("silu", ActivationKind.SILU),
        ("gelu", ActivationKind.GELU),
        ("gelu_new", ActivationKind.GELU_TANH),
    ):
        assert torch.equal(ACTIVATIONS[name](x), kernels.activation(x, kind))
    keys, values = cache(1, 9, 64)
    q = torch.randn(2, 4, 64)
    assert torch.equal(
        CausalWindow(7, 2, None, CPU).attend(q, keys, values, 0.1), kernels.attention(q, keys, values, 7, 0.1, None)
    )


def opened(**instead: Any) -> Native | str:
    usual = {"folder": Path(module.__file__).parent, "interface": module.INTERFACE, "runtimes": openmp_runtimes}
    return open_library(**usual | instead)


@pytest.mark.parametrize(
    "name,value,reason",
    [
        ("folder", Path("nowhere"), "not built"),
        ("interface", -1, "built from other sources"),
        ("structs", STRUCTS[:-1], "other sizes"),
        ("structs", (*STRUCTS[:-1], STRUCTS[0]), "other sizes"),
        ("runtimes", lambda: {"/a/libgomp.so.1", "/b/libiomp5.so"}, "another OpenMP runtime"),
    ],
)
def test_why_not(name: str, value: object, reason: str) -> None:
    found = opened(**{name: value})
    assert isinstance(found, str) and reason in found


def test_they_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARFILL_NATIVE", "0")
    assert "turned off" in str(opened())


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        (tmp_path / (module.LIBRARY + suffix)).write_text("no library")
    assert "can't be loaded" in str(opened(folder=tmp_path))
