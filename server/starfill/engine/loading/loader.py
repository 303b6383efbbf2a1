"""From a checkpoint on disk to a model that runs: parameters are mapped, linears repacked once and then mapped too;
on a GPU its steps are captured before the first one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import torch

from starfill.checkpoint.config import CheckpointConfig
from starfill.checkpoint.weights import Weights
from starfill.engine.loading.checkpoint_source import CheckpointSource
from starfill.engine.loading.packed_cache import PackedCache
from starfill.engine.models import gpt_bigcode, llama, starcoder2
from starfill.engine.models.decoder import Config, Decoder, LanguageModel
from starfill.errors import CheckpointError, SettingsError
from starfill.jobs import ModelInfo

Report = Callable[[float, str], None]  # fraction done 0..1, what is being done
ARCHITECTURES: dict[str, ModuleType] = {  # model_type in config.json -> the file with its Config and Model
    "gpt_bigcode": gpt_bigcode,
    "llama": llama,
    "mistral": llama,
    "qwen2": llama,
    "starcoder2": starcoder2,
}


@dataclass(frozen=True, slots=True)
class Loaded:
    model: LanguageModel
    info: ModelInfo


def architecture_module(config: CheckpointConfig) -> ModuleType:
    """Raises CheckpointError for an architecture that Starfill doesn't run."""
    module = ARCHITECTURES.get(config.model_type)
    if module is not None:
        return module
    from starfill.engine.models import generic  # imports transformers, which takes seconds

    if not generic.knows(config.model_type):
        raise CheckpointError(
            f"model_type {config.model_type!r} in {config.folder / 'config.json'} is not supported:"
            f" Starfill runs {', '.join(ARCHITECTURES)}, and other decoders that the installed transformers knows"
        )
    return generic


def parse_architecture(config: CheckpointConfig) -> Config:
    """Raises CheckpointError for an architecture that Starfill doesn't run, or a bad config.json."""
    parsed: Config = architecture_module(config).Config.parse(config.model, str(config.folder / "config.json"))
    return parsed


def choose_device(name: str) -> torch.device:
    """ "auto", "cpu" or "cuda" -> the device. Raises SettingsError when there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device is 'cuda' but torch finds no NVIDIA GPU here: set device to 'auto' or 'cpu'")
    return torch.device(name)


def load_model(
    config: CheckpointConfig,
    device: torch.device,
    cache: PackedCache | None = None,
    report: Report = lambda *_: None,
    name: str = "",
    devices: Sequence[torch.device] = (),
) -> Loaded:
    """Raises CheckpointError naming the file, tensor or field that can't be used.

    cache: where repacked linears are kept, None to keep them in memory only. name: to show, else the folder's.
    devices: of each layer, where one device is too small; else all are on `device`.
    """
    module = architecture_module(config)
    architecture = parse_architecture(config)
    placed = tuple(devices) or (device,) * architecture.n_layer
    source = CheckpointSource(config, Weights.open(config), architecture, placed, cache, report)
    with torch.inference_mode():
        try:
            model: LanguageModel = module.Model(architecture, source)
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
