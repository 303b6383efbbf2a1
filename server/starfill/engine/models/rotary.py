"""Rotary positions: the angles, from the fields of config.json, and the rotation of queries and keys by them.

The kinds of scaling are those of `transformers` (`rope_scaling`, since version 5 `rope_parameters`): "linear"
(positions divided by a factor, https://kaiokendev.github.io/context), "llama3" (long waves divided, Llama 3.1), "yarn"
(arXiv 2309.00071) and "dynamic". "dynamic" rotates all earlier keys anew whenever a sequence grows beyond the trained
length, which a stored KV state can't follow. Up to that length it changes nothing, so contexts are limited to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from starfill.engine.models.decoder import Rotation
from starfill.engine.models.parameters import field
from starfill.errors import CheckpointError

KINDS = ("default", "linear", "dynamic", "llama3", "yarn")


@dataclass(frozen=True, slots=True)
class Rope:
    """theta: base of the wavelengths. trained: the length before scaling. attention: a factor on cosines and sines."""

    kind: str = "default"
    theta: float = 10_000.0
    factor: float = 1.0
    trained: int = 0
    attention: float = 1.0
    low_freq_factor: float = 1.0  # llama3
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0  # yarn
    beta_slow: float = 1.0
    truncate: bool = True

    @classmethod
    def parse(cls, raw: Mapping[str, Any], positions: int, source: str) -> Rope:
        """positions: max_position_embeddings. Raises CheckpointError for a kind of scaling that can't be run."""
        scaling = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
        where = f"rope_scaling of {source}"
        if not isinstance(scaling, Mapping):
            raise CheckpointError(f"{where} is no JSON object: copy config.json again from the model's page")
        theta = field({**raw, **scaling}, "rope_theta", float, source, default=10_000.0)
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        if kind not in KINDS:
            raise CheckpointError(f"rope_type {kind!r} in {where} is not supported: Starfill runs {', '.join(KINDS)}")
        if scaling.get("partial_rotary_factor", raw.get("partial_rotary_factor", 1.0)) != 1.0:
            raise CheckpointError(f"partial_rotary_factor in {source} is not 1, which this architecture can't have")
        if kind in ("default", "dynamic"):
            return cls(kind, theta)

        def number(name: str, default: float | None = None) -> float:
            return field(scaling, name, float, where, default)

        trained = field(scaling, "original_max_position_embeddings", int, where, positions)
        factor = number("factor", positions / trained if kind == "yarn" else None)
        if kind == "linear":
            return cls(kind, theta, factor)
        if kind == "llama3":
            low, high = number("low_freq_factor"), number("high_freq_factor")
            return cls(kind, theta, factor, trained, low_freq_factor=low, high_freq_factor=high)
        return cls(
            kind,
            theta,
            factor,
            trained,
            attention=number("attention_factor", _yarn_attention(scaling, factor)),
            beta_fast=number("beta_fast", 32.0),
            beta_slow=number("beta_slow", 1.0),
            truncate=bool(scaling.get("truncate", True)),
        )

    def frequencies(self, dim: int) -> torch.Tensor:
        """Angles per position, float32 [dim / 2], falling from 1."""
        plain = 1.0 / self.theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
        if self.kind == "linear":
            return plain / self.factor
        if self.kind == "llama3":
            return self._llama3(plain)
        if self.kind == "yarn":
            return self._yarn(plain, dim)
        return plain

    def _llama3(self, plain: torch.Tensor) -> torch.Tensor:
        """Waves that fit into the trained length many times are kept, those that hardly fit are divided, those between
        are mixed.
        """
        turns = self.trained * plain / (2 * math.pi)  # waves in the trained length
        kept = ((turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)).clamp(0, 1)
        return (1 - kept) * plain / self.factor + kept * plain

    def _yarn(self, plain: torch.Tensor, dim: int) -> torch.Tensor:
        """The same idea; the mixture is linear in the index of the wave."""

        def index(turns: float) -> float:
            return dim * math.log(self.trained / (turns * 2 * math.pi)) / (2 * math.log(self.theta))

        low, high = index(self.beta_fast), index(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, dim - 1)
        divided = ((torch.arange(dim // 2, dtype=torch.float32) - low) / max(high - low, 0.001)).clamp(0, 1)
        return divided * plain / self.factor + (1 - divided) * plain


def _yarn_attention(scaling: Mapping[str, Any], factor: float) -> float:
    def scale(by: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * by * math.log(factor) + 1.0

    mscale, all_dim = scaling.get("mscale"), scaling.get("mscale_all_dim")
    return scale(mscale) / scale(all_dim) if mscale and all_dim else scale(1)


class Rotary:
    """Cosines and sines of every position, computed once: two tables float32 [positions, dim / 2]."""

    def __init__(self, rope: Rope, dim: int, positions: int, device: torch.device) -> None:
        angles = torch.arange(positions, dtype=torch.float32)[:, None] * rope.frequencies(dim)
        self._cos = (angles.cos() * rope.attention).to(device)
        self._sin = (angles.sin() * rope.attention).to(device)

    def __call__(self, positions: torch.Tensor) -> Rotation:
        """positions int64 [R] -> what `rotate` takes: cos and signed sin, float32 [R, 1, dim]."""
        cos, sin = self._cos[positions], self._sin[positions]
        return torch.cat([cos, cos], -1)[:, None], torch.cat([-sin, sin], -1)[:, None]


def rotate(x: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """x [R, heads, D]: dimension i and i + D / 2 are a pair, turned by the angle of the row's position."""
    cos, sin = rotation
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin
