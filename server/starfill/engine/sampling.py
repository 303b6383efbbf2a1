"""From logits to the next token."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from starfill.engine.job import Sampling


def pick(
    logits: torch.Tensor,
    sampling: Sampling,
    generator: torch.Generator,
    allowed: Sequence[int] | None = None,
) -> int:
    """logits float32 [vocab] -> a token id; greedy takes the lowest id of equals. allowed: the ids to choose from."""
    if allowed is not None:
        ids = torch.tensor(allowed, dtype=torch.int64, device=logits.device)
        return int(allowed[pick(logits[ids], sampling, generator)])
    if sampling.temperature <= 0:
        return int(logits.argmax())
    probabilities = (logits / sampling.temperature).softmax(-1)
    if sampling.top_p < 1:
        probabilities = nucleus(probabilities, sampling.top_p)
    return int(torch.multinomial(probabilities, 1, generator=generator))


def nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Zero all but the most probable tokens whose sum first reaches top_p (at least one stays); not renormalised."""
    ordered, order = probabilities.sort(descending=True)
    before = ordered.cumsum(-1) - ordered
    ordered[before >= top_p] = 0
    if not bool(ordered[0] > 0):
        ordered[0] = 1
    return torch.zeros_like(probabilities).scatter(-1, order, ordered)
