"""The model that is trained: transformers' GPTBigCode, and its loss without ever holding all logits at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

LOSS_ROWS = 512  # rows of logits held at once: 16 MB at 8192 tokens in fp32, which stays near the caches
LOSS_ROWS_CUDA = 16384  # 1 GB at 16384 tokens: few large products


def make_config(vocab_size: int, n_embd: int, n_layer: int, n_head: int, n_positions: int) -> GPTBigCodeConfig:
    """StarCoder's settings (multi-query, tanh-GELU, learned positions, tied embeddings) at another size, no dropout."""
    return GPTBigCodeConfig(
        vocab_size=vocab_size,
        n_positions=n_positions,
        n_embd=n_embd,
        n_layer=n_layer,
        n_head=n_head,
        multi_query=True,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=True,
        starfill_family="starfill",  # which prompts it knows: starfill.assist.prompts.families
    )


def make_model(config: GPTBigCodeConfig) -> GPTBigCodeForCausalLM:
    """A fresh model; the projections into the residual stream start smaller with depth, as in GPT-2."""
    model: GPTBigCodeForCausalLM = GPTBigCodeForCausalLM._from_config(config, attn_implementation="sdpa")  # type: ignore
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            nn.init.normal_(parameter, std=config.initializer_range / (2 * config.n_layer) ** 0.5)
    return model


class ChunkedCrossEntropy(torch.autograd.Function):
    """Weighted mean cross-entropy of `hidden @ head.T`, its gradients computed in the forward pass, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """hidden [N, D], head [V, D], targets int64 [N], weights [N] -> weighted mean loss []."""
        total = weights.sum()
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        d_hidden, d_head = torch.empty_like(hidden), torch.zeros_like(head, dtype=torch.float32)
        step = LOSS_ROWS_CUDA if hidden.is_cuda else LOSS_ROWS
        for i in range(0, len(targets), step):
            rows, wanted = hidden[i : i + step], targets[i : i + step, None]
            logits = (rows @ head.T).float()
            log_sum = logits.logsumexp(dim=1, keepdim=True)
            losses[i : i + step] = (log_sum - logits.gather(1, wanted)).squeeze(1)
            grad = logits.sub_(log_sum).exp_()
            grad.scatter_add_(1, wanted, torch.full_like(log_sum, -1.0))
            grad = grad.mul_(weights[i : i + step, None] / total).to(hidden.dtype)
            d_hidden[i : i + step] = grad @ head
            d_head += grad.T @ rows
        ctx.save_for_backward(d_hidden, d_head.to(head.dtype))
        return (losses * weights).sum() / total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        d_hidden, d_head = ctx.saved_tensors
        return grads[0] * d_hidden, grads[0] * d_head, None, None


class LanguageModel(nn.Module):
    """The transformer and its loss in one call."""

    def __init__(self, model: GPTBigCodeForCausalLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, weights: Tensor, first_position: Tensor) -> Tensor:
        """ids int64 [B, T + 1], weights [B, T + 1], first_position int64 [B] -> mean loss in nats, weighted []."""
        positions = first_position[:, None] + torch.arange(ids.shape[1] - 1, device=ids.device)
        hidden = self.model.transformer(ids[:, :-1], position_ids=positions, use_cache=False).last_hidden_state
        head = self.model.transformer.wte.weight
        if torch.is_autocast_enabled(hidden.device.type):
            hidden, head = hidden.bfloat16(), head.bfloat16()
        targets, weights = ids[:, 1:].flatten(), weights[:, 1:].flatten()
        loss: Tensor = ChunkedCrossEntropy.apply(hidden.flatten(0, 1), head, targets, weights)  # type: ignore[no-untyped-call]
        return loss
