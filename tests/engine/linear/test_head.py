"""The output head is rounded to 8 bits on the CPU: shown harmless on the bundled model and text it never saw."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F

from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.config.folders import BUNDLED
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.linear.dense import DenseLinear
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint

FILES = sorted((Path(__file__).parents[3] / "server" / "starfill" / "engine").rglob("*.py"))[::2]
TOKENS = 400  # of each file


@torch.inference_mode()
def test_rounding_the_head_changes_next_to_nothing() -> None:
    shipped, with_exact_head = (load_model(OpenedCheckpoint.open(BUNDLED), torch.device("cpu")).model for _ in range(2))
    with_exact_head.lm_head = DenseLinear(with_exact_head.wte.float(), None)
    tokenizer = CheckpointTokenizer.from_folder(BUNDLED, shipped.config.vocab_size)
    losses: list[list[torch.Tensor]] = [[], []]
    agreements = []
    for file in FILES:
        ids = torch.tensor(tokenizer.encode(file.read_text(encoding="utf-8"))[:TOKENS])
        logits = []
        for model, found in zip((shipped, with_exact_head), losses, strict=True):
            logits.append(model(ids, KVCache(model.kv_shape), last=len(ids)))
            found.append(F.cross_entropy(logits[-1][:-1], ids[1:], reduction="sum"))
        agreements.append((logits[0].argmax(-1) == logits[1].argmax(-1)).float().mean())
    rounded, exact = (float(torch.stack(found).sum()) for found in losses)
    agreement = float(torch.stack(agreements).mean())
    assert abs(rounded / exact - 1) < 0.001, (rounded, exact)
    assert agreement > 0.985
