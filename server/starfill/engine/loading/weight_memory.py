"""How much memory a checkpoint's parameters take once they are loaded, from the files' headers alone.

It mirrors `checkpoint_source.py`: quantized linears are packed where a kernel packs them; other linears are not; the
output head beside packed linears is rounded to 8 bits; embedding tables are mapped from the file on the CPU; small
tensors are float32.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

import torch

from starfill.checkpoint.config import CheckpointConfig
from starfill.checkpoint.safetensors_file import Tensor
from starfill.engine.chunking import largest_chunk
from starfill.engine.linear.dense import dense_nbytes
from starfill.engine.linear.reference import LayerShape
from starfill.engine.linear.rounding import BITS, head_groups
from starfill.engine.linear.select import Shape, head_kernel, select
from starfill.engine.loading.memory_needs import Demand
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.models.parameters import half

LAYER = re.compile(r"\.(\d+)\.")  # the first number in a tensor's name
HEAD = "lm_head.weight"


@dataclass(frozen=True, slots=True)
class WeightMemory:
    """Bytes. layers: of each block; before: embedding tables in memory; after: output head and last norm.

    mapped: embedding tables that stay in the file, of which only the rows that are looked up are read.
    """

    layers: tuple[int, ...]
    before: int
    after: int
    mapped: int

    @property
    def total(self) -> int:
        return sum(self.layers) + self.before + self.after


def weight_memory(opened: OpenedCheckpoint, device: str) -> WeightMemory:
    """device: "cpu" or "cuda"."""
    config, architecture, weights = opened.config, opened.architecture, opened.weights
    linears = architecture.linears()
    layers = [0] * architecture.n_layer
    before = after = mapped = 0
    for name, (in_features, out_features) in linears.items():
        bias = f"{name}.bias" in weights
        layers[_layer(name) or 0] += _linear(config, in_features, out_features, bias, device)
    tables = {}
    for name, tensor in weights.tensors.items():
        if name.rpartition(".")[0] in linears or name.endswith("inv_freq"):
            continue
        if len(tensor.shape) == 2:
            tables[name] = tensor
        elif (layer := _layer(name)) is not None and layer < len(layers):
            layers[layer] += 4 * prod(tensor.shape)
        else:
            after += 4 * prod(tensor.shape)
    head = tables.pop(HEAD, None) or next((t for t in tables.values() if t.shape[0] == architecture.vocab_size), None)
    if head is not None:
        after += _head(config, head, next(iter(linears.values()))[0], device)
    in_tables = sum(tensor.nbytes for tensor in tables.values())
    if device == "cpu":
        mapped = in_tables
    else:
        before = in_tables
    return WeightMemory(tuple(layers), before, after, mapped)


def demand(opened: OpenedCheckpoint, weights: int, device: torch.device) -> Demand:
    """weights: bytes held."""
    config, architecture = opened.config, opened.architecture
    sizes = architecture.linears().values()
    return Demand(
        weights=weights,
        kv_per_token=architecture.kv_shape(config.quantization is not None, device).bytes_per_token,
        layers=architecture.n_layer,
        heads=architecture.n_head,
        widest=max(max(size) for size in sizes),
        chunk=largest_chunk(device),
        on_device=device.type != "cpu",
    )


def _linear(config: CheckpointConfig, in_features: int, out_features: int, bias: bool, device: str) -> int:
    q = config.quantization
    if q is not None:
        groups = q.groups(in_features)
        packer = select(Shape(device, q.bits, in_features, groups, half(config.model))).packer
        if packer is not None:
            ordered = q.desc_act and groups > 1
            return packer.packed_nbytes(LayerShape(in_features, out_features, q.bits, groups, not q.sym, ordered, bias))
    return dense_nbytes(in_features, out_features, _itemsize(device), bias)


def _head(config: CheckpointConfig, tensor: Tensor, first_in: int, device: str) -> int:
    vocabulary, hidden = tensor.shape
    q = config.quantization
    packs = q is not None and select(Shape(device, q.bits, first_in, q.groups(first_in))).packer is not None
    packer = head_kernel(device, hidden, half(config.model)).packer if packs else None
    if packer is not None:
        return packer.packed_nbytes(LayerShape(hidden, vocabulary, BITS, head_groups(hidden)))
    return dense_nbytes(hidden, vocabulary, _itemsize(device), bias=False)


def _itemsize(device: str) -> int:
    return 4 if device == "cpu" else 2


def _layer(name: str) -> int | None:
    match = LAYER.search(name)
    return int(match[1]) if match else None
