"""From a checkpoint on disk to a model that runs.

Parameters are mapped; linears are repacked once, and mapped too from then on. On a GPU the steps are captured as graphs
before the first one is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from starfill.engine.loading.checkpoint_source import CheckpointSource
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.loading.packed_cache import PackedCache
from starfill.engine.model import LanguageModel
from starfill.engine.models.decoder import Decoder
from starfill.errors import SettingsError
from starfill.jobs import ModelInfo
from starfill.util.progress import OnProgress, ignore


@dataclass(frozen=True, slots=True)
class Loaded:
    model: LanguageModel
    info: ModelInfo


def choose_device(name: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda". Raises SettingsError if there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device is 'cuda' but torch finds no NVIDIA GPU here: set device to 'auto' or 'cpu'")
    return torch.device(name)


def load_model(
    opened: OpenedCheckpoint,
    device: torch.device,
    cache: PackedCache | None = None,
    report: OnProgress = ignore,
    name: str = "",
    devices: Sequence[torch.device] = (),
) -> Loaded:
    """Raises CheckpointError, naming the file, tensor or field that can't be used.

    cache: where repacked linears are kept; None to keep them in memory only. name: to show, else the folder's.
    devices: of each layer, where one device is too small; else all layers are on `device`.
    """
    config, architecture = opened.config, opened.architecture
    placed = tuple(devices) or (device,) * architecture.n_layer
    source = CheckpointSource(opened, placed, cache, report)
    with torch.inference_mode():
        try:
            model: LanguageModel = opened.module.Model(architecture, source)
            source.publish()
            if isinstance(model, Decoder):
                model.prepare(report)
        finally:
            source.discard()
    report(1.0, "ready")
    return Loaded(
        model,
        ModelInfo(
            name=name or config.folder.name,
            architecture=config.model_type,
            device=", ".join(dict.fromkeys(map(str, placed))),
            kernel=source.kernel.name + (f" through {model.through}" if model.through else ""),
            context_length=architecture.context_length,
            vocab_size=architecture.vocab_size,
            kv_bytes_per_token=model.kv_shape.bytes_per_token,
            weight_bytes=source.nbytes,
        ),
    )
