"""What a loaded model can do, whatever its architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from starfill.engine.kv.kv_cache import KVCache, KVShape


class LanguageModel(Protocol):
    """See `models/decoder.py`. ids are on the CPU, whatever device computes.

    through: what else takes part in running it, to be shown: "transformers", or nothing.
    """

    through: str

    @property
    def kv_shape(self) -> KVShape: ...

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor:
        """Compute ids int64 [T] behind those of the cache, and keep their KV. Returns logits float32 [last, vocab] of
        the last ones.
        """
        ...

    def step(self, ids: torch.Tensor, caches: Sequence[KVCache]) -> torch.Tensor:
        """One token for each of N sequences in one pass: ids int64 [N] -> logits float32 [N, vocab]."""
        ...
