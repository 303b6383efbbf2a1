"""The keys and values of one sequence, for all layers: storage and a length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

BLOCK = 128  # positions; attention computes whole blocks, see attention.py


@dataclass(frozen=True, slots=True)
class KVShape:
    """What a model keeps per position."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device  # of token ids, and of all layers unless `devices` is given
    devices: tuple[torch.device, ...] = ()  # of each layer
    longest: int = 1 << 30  # the most positions that a sequence can have

    @property
    def bytes_per_token(self) -> int:
        return 2 * self.layers * self.kv_heads * self.head_dim * self.dtype.itemsize

    @property
    def on_device(self) -> bool:
        """Whether states are in a GPU's memory, from which they can be moved to the host's."""
        return self.device.type != "cpu"


class KVCache:
    """Positions 0..length are valid. Each layer's storage [2, kv_heads, capacity, head_dim] grows in whole blocks.

    Storage beyond `length` is finite (zeros, or values that were trimmed), so that masked positions add exact zeros.
    parked: the storage is in the host's memory, until `reserve` moves it back to the device that computes. Every pass
        begins with `reserve`. If that runs out of memory, the positions are unchanged.
    """

    def __init__(self, shape: KVShape) -> None:
        self.shape = shape
        self.length = 0
        self.capacity = 0
        self.parked = False
        self._devices = shape.devices or (shape.device,) * shape.layers
        self.storage = [allocate(shape, 0, device) for device in self._devices]
        self._addresses: list[int] | None = None
        self._column: torch.Tensor | None = None

    @property
    def nbytes(self) -> int:
        return self.shape.bytes_per_token * self.capacity

    def reserve(self, tokens: int) -> None:
        """Make room for `tokens` more positions: half as much again if that isn't too long, so that growing stays
        cheap.
        """
        needed = self.length + tokens
        if self.parked:
            self._resize(max(needed, self.capacity))
        elif needed > self.capacity:
            self._resize(max(needed, min(self.capacity * 3 // 2, self.shape.longest)))

    def _resize(self, capacity: int, *, copy: bool = False) -> None:
        """Change the capacity one layer at a time, so that only one layer is held twice. A parked cache stays parked
        until all layers are done.

        copy: the storage belongs to another cache too.
        """
        capacity = -(-capacity // BLOCK) * BLOCK
        storage = list(self.storage) if self.parked else self.storage
        self._addresses = self._column = None
        try:
            for layer, device in enumerate(self._devices):
                if copy or self.parked or storage[layer].shape[2] != capacity:
                    storage[layer] = self._resized(storage[layer], capacity, device)
        except BaseException:
            if len({each.shape[2] for each in self.storage}) > 1:
                self.capacity = 0  # the next `reserve` gives all layers the same capacity
            raise
        self.storage, self.capacity, self.parked = storage, capacity, False

    def _resized(self, old: torch.Tensor, capacity: int, device: torch.device) -> torch.Tensor:
        here = old.to(device, non_blocking=True)
        if here is not old and here.shape[2] == capacity:
            return here
        grown = allocate(self.shape, capacity, device)
        grown[:, :, : self.length] = here[:, :, : self.length]
        return grown

    def park(self) -> None:
        """Move everything to the host's memory. Needs no GPU memory. Raises RuntimeError if the host has too little."""
        self.storage = [_on_host(storage) for storage in self.storage]
        self._addresses, self._column, self.parked = None, None, True
        self.capacity = max(storage.shape[2] for storage in self.storage)

    def addresses(self) -> list[int]:
        """The address of each layer's storage, valid until room is made the next time."""
        assert not self.parked
        if self._addresses is None:
            self._addresses = [each.data_ptr() for each in self.storage]
        return self._addresses

    def column(self) -> torch.Tensor:
        """The capacity, then the addresses: int64 [1 + layers], on the CPU."""
        if self._column is None:
            self._column = torch.tensor([self.capacity, *self.addresses()])
        return self._column

    def write(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write keys, values [kv_heads, T, head_dim] of one layer to positions length.., which must be reserved.

        Returns that layer's keys and values up to the end of the last block in use, [kv_heads, blocks * BLOCK,
        head_dim]. The positions count only after `advance`, so an error in between leaves the cache as it was.
        """
        end = self.length + keys.shape[1]
        used = -(-end // BLOCK) * BLOCK
        storage = self.storage[layer]
        storage[0, :, self.length : end] = keys
        storage[1, :, self.length : end] = values
        return storage[0, :, :used], storage[1, :, :used]

    def advance(self, tokens: int) -> None:
        self.length += tokens

    def trim(self, length: int) -> None:
        """Drop all positions from `length` on."""
        assert 0 <= length <= self.length
        self.length = length

    def fork(self, length: int | None = None) -> KVCache:
        """A cache of its own with the same positions, or the first `length` of them, for another continuation."""
        length = self.length if length is None else length
        assert 0 <= length <= self.length
        other = KVCache(self.shape)
        other.storage, other.length = list(self.storage), length
        other._resize(length, copy=True)
        return other

    def layers(self) -> list[torch.Tensor]:
        """A copy of all positions: for each layer [2, kv_heads, length, head_dim], keys and values, on the CPU."""
        return [
            storage.cpu()[:, :, : self.length].clone(memory_format=torch.contiguous_format)
            # whole storage leaves a GPU: a part of it would first be copied within its memory
            for storage in self.storage
        ]

    @classmethod
    def of(cls, shape: KVShape, layers: Sequence[torch.Tensor]) -> KVCache:
        """A cache with the contents that `layers` returned. It is parked if a GPU computes."""
        cache = cls(shape)
        tokens = layers[0].shape[2]
        if shape.on_device:
            cache.storage, cache.length, cache.capacity, cache.parked = list(layers), tokens, tokens, True
            return cache
        cache.reserve(tokens)
        for layer, (keys, values) in enumerate(layers):
            cache.write(layer, keys, values)
        cache.advance(tokens)
        return cache


def allocate(shape: KVShape, capacity: int, device: torch.device) -> torch.Tensor:
    """Storage of a layer, [2, kv_heads, capacity, head_dim]."""
    return torch.zeros(2, shape.kv_heads, capacity, shape.head_dim, dtype=shape.dtype, device=device)


def _on_host(storage: torch.Tensor) -> torch.Tensor:
    """A copy in page-locked memory if there is any: a GPU reads and writes that itself."""
    try:
        held = torch.empty(storage.shape, dtype=storage.dtype, pin_memory=storage.is_cuda)
    except RuntimeError:
        held = torch.empty(storage.shape, dtype=storage.dtype)
    return held.copy_(storage)
