"""The keys and values of one sequence, for all layers: storage plus a length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

BLOCK = 128  # positions; attention works on whole blocks, see attention.py


@dataclass(frozen=True, slots=True)
class KVShape:
    """What a model keeps per position."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device  # where token ids go, and all layers unless `devices` says otherwise
    devices: tuple[torch.device, ...] = ()  # of each layer

    @property
    def bytes_per_token(self) -> int:
        return 2 * self.layers * self.kv_heads * self.head_dim * self.dtype.itemsize


class KVCache:
    """Positions 0..length are valid. Each layer's storage [2, kv_heads, capacity, head_dim] grows in whole blocks.

    Storage beyond `length` is finite (zeros, or values trimmed away), so that masked positions add exact zeros.
    """

    def __init__(self, shape: KVShape) -> None:
        self.shape = shape
        self.length = 0
        self.capacity = 0
        self._storage = [self._allocate(0, device) for device in shape.devices or (shape.device,) * shape.layers]

    def _allocate(self, capacity: int, device: torch.device) -> torch.Tensor:
        s = self.shape
        return torch.zeros(2, s.kv_heads, capacity, s.head_dim, dtype=s.dtype, device=device)

    @property
    def nbytes(self) -> int:
        return self.shape.bytes_per_token * self.capacity

    def reserve(self, tokens: int) -> None:
        """Make room for `tokens` more, by half as much again at least, so that growing stays cheap."""
        needed = self.length + tokens
        if needed > self.capacity:
            self._resize(max(needed, self.capacity * 3 // 2))

    def _resize(self, capacity: int) -> None:
        capacity = -(-capacity // BLOCK) * BLOCK
        for layer, old in enumerate(self._storage):  # one at a time, so that only one is ever held twice
            grown = self._allocate(capacity, old.device)
            grown[:, :, : self.length] = old[:, :, : self.length]
            self._storage[layer] = grown
        self.capacity = capacity

    def addresses(self) -> list[int]:
        """Where each layer's storage stands, until room is made the next time."""
        return [storage.data_ptr() for storage in self._storage]

    def write(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put keys, values [kv_heads, T, head_dim] at positions length.. of one layer (room must be reserved).

        Returns that layer's keys and values up to the end of the last block in use, [kv_heads, blocks * BLOCK,
        head_dim]. The positions count only after `advance`, so an error in between leaves the cache as it was.
        """
        end = self.length + keys.shape[1]
        used = -(-end // BLOCK) * BLOCK
        storage = self._storage[layer]
        storage[0, :, self.length : end] = keys
        storage[1, :, self.length : end] = values
        return storage[0, :, :used], storage[1, :, :used]

    def advance(self, tokens: int) -> None:
        self.length += tokens

    def trim(self, length: int) -> None:
        """Forget all positions from `length` on."""
        assert 0 <= length <= self.length
        self.length = length

    def fork(self, length: int | None = None) -> KVCache:
        """A cache of its own with the same positions, or the first `length`: for another continuation of them."""
        length = self.length if length is None else length
        assert 0 <= length <= self.length
        other = KVCache(self.shape)
        other._storage, other.length = list(self._storage), length
        other._resize(length)
        return other

    def layers(self) -> list[torch.Tensor]:
        """A copy of all positions: for each layer [2, kv_heads, length, head_dim], keys and values, on the CPU."""
        return [
            storage[:, :, : self.length].to("cpu", copy=True, memory_format=torch.contiguous_format)
            for storage in self._storage
        ]

    @classmethod
    def of(cls, shape: KVShape, layers: Sequence[torch.Tensor]) -> KVCache:
        """A cache that holds what `layers` answered."""
        cache = cls(shape)
        tokens = layers[0].shape[2]
        cache.reserve(tokens)
        for layer, (keys, values) in enumerate(layers):
            cache.write(layer, keys, values)
        cache.advance(tokens)
        return cache
