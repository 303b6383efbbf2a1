"""Grouped-query attention with rotary positions, as llama and its relatives and starcoder2 have it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from starfill.engine.models.decoder import Rows
from starfill.engine.models.merged_linears import MergedLinears
from starfill.engine.models.parameters import ParameterSource
from starfill.engine.models.rotary import rotate


@dataclass(frozen=True, slots=True)
class Heads:
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int

    def linears(self) -> dict[str, tuple[int, int]]:
        """(in_features, out_features) of the four projections."""
        all_heads, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        d = self.hidden
        return {"q_proj": (d, all_heads), "k_proj": (d, kv), "v_proj": (d, kv), "o_proj": (all_heads, d)}


class GroupedQueryAttention:
    def __init__(
        self, source: ParameterSource, name: str, layer: int, shape: Heads, qkv_bias: bool, o_bias: bool
    ) -> None:
        linears = shape.linears()
        names = ("q_proj", "k_proj", "v_proj")
        self.qkv = MergedLinears(
            [source.linear(f"{name}.{part}", *linears[part], bias=qkv_bias) for part in names],
            [linears[part][1] for part in names],
        )
        self.o = source.linear(f"{name}.o_proj", *linears["o_proj"], bias=o_bias)
        self.layer = layer
        self.heads = shape.heads
        self.head_dim = shape.head_dim

    def __call__(self, x: torch.Tensor, rows: Rows) -> torch.Tensor:
        """x [R, hidden], normed -> [R, hidden] in the linears' dtype."""
        assert rows.rotation is not None
        q, k, v = self.qkv(x)
        qk = torch.cat([q, k], 1).float().view(len(x), -1, self.head_dim)
        v = v.float().reshape(len(x), -1, self.head_dim)
        qk = rotate(qk, rows.rotation)
        q, k = qk[:, : self.heads], qk[:, self.heads :]
        return self.o(rows.attend(self.layer, q, k.transpose(0, 1), v.transpose(0, 1), self.head_dim**-0.5))
