"""From logits to the next token. Nothing here waits for the device of the logits; reading a token does."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from starfill.jobs import Sampling


def pick(
    logits: torch.Tensor,
    sampling: Sampling,
    generator: torch.Generator,
    allowed: Sequence[int] | None = None,
) -> torch.Tensor:
    """logits float32 [vocab] -> a token id, int64 []. Greedy takes the lowest id of equals. allowed: the ids to choose
    from.
    """
    if allowed is not None:
        ids = torch.tensor(allowed, dtype=torch.int64, device=logits.device)
        return ids.take(pick(logits[ids], sampling, generator))
    if sampling.temperature <= 0:
        return logits.argmax()
    probabilities = (logits / sampling.temperature).softmax(-1)
    if sampling.top_p < 1:
        probabilities = nucleus(probabilities, sampling.top_p)
    # Draws like torch.multinomial, as the first of many exponential clocks; but that one checks its input, and waits.
    return (probabilities / torch.empty_like(probabilities).exponential_(1, generator=generator)).argmax()


def nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Set all probabilities to 0 but those of the most probable tokens whose sum first reaches top_p (at least one).
    Not normalised again.
    """
    ordered, order = probabilities.sort(descending=True)
    beyond = ordered.cumsum(-1) - ordered >= top_p
    beyond[0] = False
    return torch.zeros_like(probabilities).scatter(-1, order, ordered.masked_fill_(beyond, 0))
