"""Every kernel in the configurations that are used, compiled without a GPU: prints one JSON line about each.

A process of its own: where Triton interprets its kernels, it can't compile them. Arguments: compute capabilities.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import product as pairs
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from starfill.engine.cuda import attention as attention_kernels
from starfill.engine.cuda import dequantized_product, elementwise, packed_product
from starfill.engine.cuda.tuning import choose

CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
F16, BF16, F32, I32, I64 = "*fp16", "*bf16", "*fp32", "i32", "*i64"


@dataclass(frozen=True)
class Build:
    """types: of the arguments that aren't compile-time constants; constants: the others, None where left out."""

    kernel: Any
    types: dict[str, str]
    constants: dict[str, Any]
    warps: int
    stages: int = 1
    multiples: tuple[str, ...] = ()  # numbers that are multiples of 16

    @property
    def name(self) -> str:
        return " ".join([self.kernel.__name__, *(f"{name}={value}" for name, value in self.constants.items())])

    def report(self, capability: int) -> dict[str, object]:
        """shared: bytes of shared memory; stack: bytes of registers that didn't fit, of each thread; wide: whether
        global memory is read 16 bytes at a time."""
        names = self.kernel.arg_names
        types = {name: self.types.get(name, "constexpr") for name in names}
        constants = {(i,): self.constants.get(name) for i, name in enumerate(names) if types[name] == "constexpr"}
        aligned = {
            (i,): [["tt.divisibility", 16]]
            for i, name in enumerate(names)
            if (types[name].startswith("*") and name not in elementwise.COLUMN) or name in self.multiples
        }
        made = triton.compile(
            ASTSource(fn=self.kernel, signature=types, constexprs=constants, attrs=aligned),
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": self.warps, "num_stages": self.stages},
        )
        wide = re.search(r"ld\.global[.\w]*\.v4\.b32|cp\.async\.cg", made.asm["ptx"])
        return {
            "kernel": self.kernel.__name__,
            "build": self.name,
            "capability": capability,
            "shared": made.metadata.shared,
            "wide": wide is not None,
        } | resources(made.asm["cubin"])


def resources(cubin: bytes) -> dict[str, int]:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        told = subprocess.run(
            [CUOBJDUMP, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    found = [re.search(rf"\b{name}:(\d+)", told) for name in ("REG", "STACK")]
    registers, stack = (int(match[1]) for match in found if match)
    return {"registers": registers, "stack": stack}


def settle(width: int, block: int, splits: int, centred: bool, warps: int, h: str = F16) -> Build:
    types = {"x": F32, "weight": F32, "h": h, "eps": "fp32"}
    types |= {"shift": F32} if centred else {}
    types |= {"parts": F32, "bias": F32} if splits else {}
    return Build(elementwise.settle, types, {"WIDTH": width, "BLOCK": block, "SPLITS": splits}, warps)


def spread(heads: int, kv_heads: int, dim: int, widths: tuple[int, int, int], rotary: bool, kept: str = F16) -> Build:
    types = {"q": kept, "positions": I64, "capacities": I64, "addresses": I64}
    types |= {f"{name}_parts": F32 for name in "qkv"}
    types |= {"cos": F32, "sin": F32} if rotary else {f"{name}_bias": F32 for name in "qkv"}
    constants = {"HEADS": heads, "KV_HEADS": kv_heads, "DIM": dim}
    for name, width in zip("QKV", widths, strict=True):
        constants |= {f"{name}_WIDTH": width, f"{name}_SPLITS": 3}
    return Build(elementwise.spread, types, constants, warps=1)


def activate(width: int, kind: int, gated: bool, out: str) -> Build:
    types = {"up_parts": F32, "up_bias": F32, "out": out} | ({"gate_parts": F32} if gated else {})
    row = 2 * width if gated else width
    constants = {"WIDTH": width, "BLOCK": 512, "UP_WIDTH": row, "GATE_WIDTH": row, "KIND": kind}
    constants |= {"UP_SPLITS": 3, "GATE_SPLITS": 3 if gated else 0}
    return Build(elementwise.activate, types, constants, warps=4)


def attention(kv_heads: int, group: int, dim: int, span: int = 128, window: int = 0, kept: str = F16) -> list[Build]:
    at = {"peaks": F32, "sums": F32, "mixed": F32, "positions": I64, "spans": I32}
    types = at | {"q": kept, "capacities": I64, "addresses": I64, "rows": I32, "scale": "fp32"}
    lanes, keys = triton.next_power_of_2(group), 64 if dim <= 128 else 32
    constants = {"KV_HEADS": kv_heads, "GROUP": group, "LANES": lanes, "SHARED": max(16 // lanes, 1), "DIM": dim}
    constants |= {"KEYS": keys, "BLOCKS": span // keys, "WINDOW": window}
    whole = {"HEADS": kv_heads * group, "DIM": dim, "SPAN": span, "WINDOW": window, "CHUNK": 16}
    return [
        Build(attention_kernels.attend, types, constants, warps=4, stages=2),
        Build(attention_kernels.combine, at | {"out": kept}, whole, warps=4),
    ]


def linear(
    in_features: int,
    out_features: int,
    bits: int = 4,
    group: int = 128,
    dtype: str = F16,
    zeros: bool = False,
    order: bool = False,
) -> Build:
    how = choose(132, in_features, out_features)
    types = {"x": dtype, "words": "*i32", "scales": F16, "zeros": "*u8", "order": "*i32", "out": F32}
    types |= dict.fromkeys(("rows", "K", "N", "columns", "groups", "blocks", "blocks_per_split"), I32)
    constants = {"BITS": bits, "GRAIN": min(group, 128), "SPAN": group // 128 or 1, "COLUMNS": how.columns}
    constants |= {"WHOLE": in_features % 128 == 0, "HAS_ZEROS": zeros, "HAS_ORDER": order}
    return Build(packed_product.product, types, constants, how.warps, how.stages, ("K", "N", "columns"))


def in_full(bits: int, group: int) -> Build:
    types = {"words": "*i32", "scales": F16, "zeros": "*u8", "out": F16}
    types |= dict.fromkeys(("start", "width", "K", "columns", "groups"), I32)
    constants = {"BITS": bits, "GRAIN": min(group, 128), "SPAN": group // 128 or 1, "COLUMNS": 64, "HAS_ZEROS": True}
    return Build(dequantized_product.dequantize, types, constants, 4, multiples=("start", "width", "K", "columns"))


ADD_UP = {"parts": F32, "bias": F32, "out": F16} | dict.fromkeys(("splits", "total", "N"), I32)

BUILDS: list[Build] = [
    linear(6144, 6400),  # StarCoder
    linear(6144, 49152, bits=8, dtype=BF16),
    linear(5120, 5120, dtype=BF16, zeros=True),
    linear(8192, 1024, bits=3, zeros=True),
    linear(13824, 5120, group=32, zeros=True, order=True),
    linear(8192, 8192, bits=8, group=32),
    linear(2080, 64, group=1024),
    *(in_full(bits, group) for bits, group in ((3, 128), (4, 32), (8, 64))),
    Build(packed_product.add_up, ADD_UP, {"HAS_BIAS": True, "SIZE": 1024}, 4, multiples=("total", "N")),
    settle(6144, 8192, 6, centred=True, warps=16),  # StarCoder
    settle(6144, 8192, 0, centred=True, warps=16),
    settle(5120, 8192, 5, centred=False, warps=16, h=BF16),
    spread(48, 1, 128, (6400, 6400, 6400), rotary=False),
    spread(40, 40, 128, (5120, 5120, 5120), rotary=True, kept=BF16),
    activate(24576, elementwise.GELU_TANH.value, gated=False, out=F16),
    activate(13824, elementwise.SILU.value, gated=True, out=BF16),
    activate(49152, elementwise.NONE.value, gated=False, out=F32),
    *attention(1, 48, 128),  # StarCoder
    *attention(40, 1, 128),  # CodeLlama-13B
    *attention(8, 8, 128, kept=BF16),  # CodeLlama-70B
    *attention(4, 12, 128, window=4096),  # StarCoder2-15B
    *attention(4, 4, 256, span=1024),
]


def report(number: int, capability: int) -> dict[str, object]:
    return BUILDS[number].report(capability)


def main() -> None:
    """On all cores: that takes seconds for each, and by far the most of this process's time."""
    work = pairs(range(len(BUILDS)), map(int, sys.argv[1:]))
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:  # what is imported is shared
        for made in pool.starmap(report, work, chunksize=1):
            print(json.dumps(made), flush=True)


if __name__ == "__main__":
    main()
