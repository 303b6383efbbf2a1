"""The same shapes in other hands: `generate` of transformers, and the kernels of the GPTQ library and of torch.

Everything here is random numbers in their layouts: only how long it takes means something.
"""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from checkpoints.layout import Layout
from checkpoints.shapes import Shape
from gpu.clock import settle
from gpu.random_source import random_layer

PROMPT = 512  # tokens
INNER = 8  # tiles along the input features, in torch's layout: what it takes 2, 4 or 8 of
LIBRARY = "gptqmodel.nn_modules.qlinear"
KERNELS = {"Marlin": ("marlin", "MarlinLinear"), "ExLlama": ("exllamav2", "ExllamaV2Linear")}

Linear = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Generated:
    """prompt: its tokens. tokens_s: of decode alone. through: what computed the linears. why: not something better."""

    prompt: int
    through: str
    why: str
    first_ms: float
    tokens_s: float


def generate(shape: Shape, layout: Layout, device: torch.device, dtype: torch.dtype, tokens: int) -> Generated:
    """Greedy `generate` of transformers' own model: up to the first token, and `tokens` more."""
    import transformers

    their: Any = transformers  # without types
    raw = {name: value for name, value in shape.config_json().items() if name != "torch_dtype"}
    config = their.AutoConfig.for_model(raw.pop("model_type"), **raw)
    with device:
        model = their.AutoModelForCausalLM.from_config(config).to(dtype).eval()
    through, why = quantized(model, shape, layout, device, dtype)
    length = min(PROMPT, config.max_position_embeddings - tokens - 1)
    ids = torch.randint(0, config.vocab_size, (1, length), device=device)

    exactly = {"min_new_tokens": 1 + tokens, "max_new_tokens": 1 + tokens, "do_sample": False, "pad_token_id": 0}
    with torch.inference_mode():
        for _ in range(2):  # the first time is for whatever is made once
            settle(device)
            came = Clock()
            model.generate(ids, attention_mask=torch.ones_like(ids), streamer=came, **exactly)
    began, (_, first, *_, last) = came.began, came.times  # the prompt comes before the tokens
    return Generated(length, through, why, (first - began) * 1e3, tokens / (last - first))


class Clock:
    """When `generate` had its tokens: it tells a streamer each, as it reads them anyway to see whether it is to end."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.times: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None: ...


def quantized(
    model: torch.nn.Module, shape: Shape, layout: Layout, device: torch.device, dtype: torch.dtype
) -> tuple[str, str]:
    """Puts the GPTQ library's fastest layers into a model, if they can be had -> what computes now, and why not more.

    All or none: a model with some of them would be compared with nothing.
    """
    reasons = []
    for name in KERNELS:
        try:
            made = {full: library_linear(name, layout, *size, device, dtype) for full, size in shape.linears().items()}
        except Exception as error:  # whatever is missing or doesn't build: the next one, or none
            reasons.append(f"{name}: {type(error).__name__}: {error}".splitlines()[0])
            gc.collect()
            continue
        for full, linear in made.items():
            parent, _, last = full.rpartition(".")
            setattr(model.get_submodule(parent), last, linear)
        return f"the GPTQ library's {name}", "; ".join(reasons)
    return f"dense {str(dtype).removeprefix('torch.')} weights", "; ".join(reasons)


def library_linear(
    name: str, layout: Layout, in_features: int, out_features: int, device: torch.device, dtype: torch.dtype
) -> torch.nn.Module:
    """One layer of gptqmodel's. Raises whatever the library does where it can't run here."""
    file, kind = KERNELS[name]
    module: Any = importlib.import_module(f"{LIBRARY}.{file}")
    with device:
        layer: Any = getattr(module, kind)(
            bits=layout.bits,
            group_size=layout.group_size,
            desc_act=layout.desc_act,
            sym=layout.sym,
            in_features=in_features,
            out_features=out_features,
            bias=True,
            register_buffers=True,
            dtype=dtype,
        )
    packed = random_layer(layout, in_features, out_features, device, torch.Generator(device).manual_seed(1))
    for part in ("qweight", "qzeros", "scales", "g_idx"):
        there = getattr(layer, part)
        there.data = getattr(packed, part).to(there.dtype)
    if name == "ExLlama":
        layer.post_init(module.ScratchSpace(layer.scratch_space_fixed(), device))
    else:
        layer.post_init()
    made: torch.nn.Module = layer
    return made


def torch_int4(layout: Layout, in_features: int, out_features: int, device: torch.device) -> tuple[Linear, int]:
    """torch's own int4 product for GPUs, in bf16 -> it, and its bytes. Groups of 32 to 256; in their own order."""
    words = torch.randint(0, 256, (out_features, in_features // 2), dtype=torch.uint8, device=device)
    packed = torch.ops.aten._convert_weight_to_int4pack(words, INNER)
    scales = torch.randn(in_features // layout.group_size, out_features, 2, device=device, dtype=torch.bfloat16)

    def product(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.ops.aten._weight_int4pack_mm(x, packed, layout.group_size, scales)
        return y

    return product, packed.nbytes + scales.nbytes


def dense(in_features: int, out_features: int, device: torch.device, dtype: torch.dtype) -> tuple[Linear, int]:
    """A plain matrix product of 16-bit weights."""
    weight = torch.randn(out_features, in_features, device=device, dtype=dtype)
    return lambda x: torch.nn.functional.linear(x, weight), weight.nbytes


def others(
    layout: Layout, in_features: int, out_features: int, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, torch.dtype, Callable[[], tuple[Linear, int]]]]:
    """Name, dtype of the input, and how one is made, of each kernel that ours are compared with."""
    yield "dense", dtype, partial(dense, in_features, out_features, device, dtype)
    if layout.bits == 4 and device.type == "cuda":
        yield "torch int4", torch.bfloat16, partial(torch_int4, layout, in_features, out_features, device)
    for name in KERNELS:
        yield name, dtype, partial(_library, name, layout, in_features, out_features, device, dtype)


def _library(
    name: str, layout: Layout, in_features: int, out_features: int, device: torch.device, dtype: torch.dtype
) -> tuple[Linear, int]:
    layer = library_linear(name, layout, in_features, out_features, device, dtype)
    return layer, in_features * out_features * layout.bits // 8
