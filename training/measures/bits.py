"""Bits per byte of a checkpoint on whole files, computed by Starfill's own engine: what its users run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.loading.loader import choose_device, load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.model import LanguageModel
from starfill.evaluation.cursors import SourceFile

WINDOW = 1024  # tokens, or fewer where the model has fewer positions


def bits_per_byte(
    folder: Path, sources: Sequence[SourceFile], report: Callable[[int, int], None] = lambda *_: None
) -> float:
    """Over whole files in windows that overlap by half: every token but a file's first ones is predicted from at least
    half a window. report(done, total) after each file."""
    loaded = load_model(OpenedCheckpoint.open(folder), choose_device("auto"))
    tokenizer = CheckpointTokenizer.from_folder(folder, loaded.info.vocab_size)
    start = [tokenizer.special["<|endoftext|>"]]
    nats, size = 0.0, 0
    for done, source in enumerate(sources, 1):
        ids = torch.tensor(start + tokenizer.encode(source.text))
        nats += nats_of(loaded.model, ids, min(WINDOW, loaded.info.context_length))
        size += len(source.text.encode())
        report(done, len(sources))
    return nats / math.log(2) / size


@torch.inference_mode()
def nats_of(model: LanguageModel, ids: torch.Tensor, window: int) -> float:
    """Negative log-likelihood of ids [1:] int64 [N]."""
    nats, scored = 0.0, 1
    for first in range(0, len(ids) - 1, window // 2):
        part = ids[first : first + window]
        new = first + len(part) - scored
        logits = model(part.to(model.kv_shape.device), KVCache(model.kv_shape), new + 1)[:-1].float().cpu()
        nats += float(torch.nn.functional.cross_entropy(logits, part[-new:], reduction="sum"))
        scored += new
        if scored == len(ids):
            break
    return nats
