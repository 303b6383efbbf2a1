"""Our KV state, attention and linears, in the form that a model class of `transformers` expects of its own."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn
from transformers import AttentionInterface, DynamicCache

from starfill.engine.kv.attention import attention, causal_mask
from starfill.engine.kv.kv_cache import BLOCK, KVCache
from starfill.engine.linear.select import Linear

OURS = "starfill"  # the name of our attention within transformers


class Recorder(DynamicCache):
    """Records the shapes of the keys and values of each layer, [1, heads, T, dim]."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: dict[int, tuple[torch.Size, torch.Size]] = {}

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.shapes[layer_idx] = (key_states.shape, value_states.shape)
        return key_states, value_states

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        return 0

    def get_mask_sizes(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 1, 0


class Bridge(DynamicCache):
    """Our KV state behind the interface of their cache, for one pass of `tokens` tokens. Trimming and forking stay
    ours.
    """

    def __init__(self, cache: KVCache, tokens: int) -> None:
        super().__init__()
        self._cache, self._tokens = cache, tokens

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """keys and values [1, heads, T, dim] of the new tokens -> those of all tokens, [1, heads, length + T, dim]."""
        shape, end = self._cache.shape, self._cache.length + self._tokens
        new = (key_states[0], value_states[0])
        padded = [
            nn.functional.pad(part, (0, shape.head_dim - part.shape[2], 0, 0, 0, shape.kv_heads - part.shape[0]))
            for part in new
        ]
        kept = self._cache.write(layer_idx, padded[0], padded[1])
        keys, values = (
            whole[None, : part.shape[0], :end, : part.shape[2]] for whole, part in zip(kept, new, strict=True)
        )
        return keys, values

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        return self._cache.length

    def get_mask_sizes(self, *_: Any, **__: Any) -> tuple[int, int]:
        return self._cache.length + self._tokens, 0


def block_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Our attention with the signature that transformers expects: query [1, heads, T, D], key and value [1, kv_heads,
    keys, D], the mask [1, 1, T, keys] True or 0 where a query may look -> [1, T, heads, D].
    """
    if softcap is not None or s_aux is not None:
        raise NotImplementedError("attention with soft caps or sinks")
    tokens, keys = query.shape[2], key.shape[2]
    missing = -keys % BLOCK
    if attention_mask is None:
        hidden = causal_mask(keys - tokens, tokens, query.device)
    else:
        seen = attention_mask if attention_mask.dtype == torch.bool else attention_mask == 0
        hidden = nn.functional.pad(~seen[0, 0, :, :keys], (0, missing), value=True)[:, None]
    k, v = (nn.functional.pad(part[0], (0, 0, 0, missing)) for part in (key, value))
    scale = query.shape[3] ** -0.5 if scaling is None else scaling
    mixed = attention(query[0].transpose(0, 1), k, v, hidden, scale)
    return mixed.view(1, tokens, query.shape[1], -1), None


AttentionInterface.register(OURS, block_attention)
if hasattr(transformers, "AttentionMaskInterface"):  # since 4.53; before that, each class made its own mask
    from transformers.masking_utils import eager_mask

    transformers.AttentionMaskInterface.register(OURS, eager_mask)


class OurLinear(nn.Module):
    """One of our linears in the place of an nn.Linear of their class."""

    def __init__(self, linear: Linear) -> None:
        super().__init__()
        self._linear = linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [..., K] -> [..., N] in x's dtype."""
        return self._linear(x.reshape(-1, x.shape[-1])).to(x.dtype).view(*x.shape[:-1], -1)
