"""A checkpoint's settings and headers, parsed once for everything that loads it or computes its needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from starfill.checkpoint.config import CheckpointConfig, read_config
from starfill.checkpoint.weights import Weights
from starfill.engine.models import gpt_bigcode, llama, starcoder2
from starfill.engine.models.decoder import Config
from starfill.errors import CheckpointError

ARCHITECTURES: dict[str, ModuleType] = {  # model_type in config.json -> the file with its Config and Model
    "gpt_bigcode": gpt_bigcode,
    "llama": llama,
    "mistral": llama,
    "qwen2": llama,
    "starcoder2": starcoder2,
}


@dataclass(frozen=True)
class OpenedCheckpoint:
    """module: the file of its architecture, with its Config and Model. architecture: that Config, parsed."""

    config: CheckpointConfig
    module: ModuleType
    architecture: Config

    @classmethod
    def open(cls, folder: Path) -> OpenedCheckpoint:
        """Raises CheckpointError if the folder holds no checkpoint that Starfill runs."""
        return cls.of(read_config(folder))

    @classmethod
    def of(cls, config: CheckpointConfig) -> OpenedCheckpoint:
        """Raises CheckpointError for an architecture that Starfill doesn't run, or a bad config.json."""
        module = architecture_module(config)
        architecture: Config = module.Config.parse(config.model, str(config.folder / "config.json"))
        return cls(config, module, architecture)

    @cached_property
    def weights(self) -> Weights:
        """The headers of the files. Raises CheckpointError if they are missing or damaged."""
        return Weights.open(self.config)


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
