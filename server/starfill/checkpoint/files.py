"""Which files make a checkpoint, decided by their names alone: the same for a folder and for a
repository of the hub.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from starfill.errors import CheckpointError

CONFIG = "config.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model")
QUANTIZE_CONFIG = "quantize_config.json"
BESIDE = (
    CONFIG,
    *TOKENIZERS,
    QUANTIZE_CONFIG,
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
"""What may stand beside the weights; the rest of a repository (cards, code, other formats) is never fetched."""

WEIGHTS, INDEX = ".safetensors", ".safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")

ReadJson = Callable[[str], Mapping[str, Any]]
"""The content of a JSON file, by its name."""


def lacking(names: Collection[str]) -> str | None:
    """What is missing for a checkpoint, apart from weights; None if nothing is."""
    if CONFIG not in names:
        return CONFIG
    return None if any(name in names for name in TOKENIZERS) else TOKENIZERS[0]


def weight_files(names: Collection[str], read: ReadJson, where: object) -> tuple[str, ...]:
    """The index, if there is one, and the safetensors files of a checkpoint, also those that are missing; () for none.

    Of several sets of weights the one that the quantization settings name, or `model`. Raises CheckpointError, naming
    `where`, if that leaves a choice.
    """
    sets = _sets(names, read)
    if len(sets) < 2:
        return next(iter(sets.values()), ())
    for base in (_named(names, read), "model"):
        if base in sets:
            return sets[base]
    listed = ", ".join(f"{base}{WEIGHTS}" for base in sets)
    raise CheckpointError(
        f"{where} holds several checkpoints ({listed}) and no quantize_config.json that names one: keep only one of"
        " them in a folder, or choose another branch of a repository"
    )


def _named(names: Collection[str], read: ReadJson) -> object:
    """The `model_file_base_name` of the quantization settings, in whichever file they are."""
    settings = read(QUANTIZE_CONFIG) if QUANTIZE_CONFIG in names else read(CONFIG).get("quantization_config")
    return settings.get("model_file_base_name") if isinstance(settings, Mapping) else None


def _sets(names: Collection[str], read: ReadJson) -> dict[str, tuple[str, ...]]:
    """The files of each set of weights, by the beginning of their names."""
    sets: dict[str, tuple[str, ...]] = {}
    for index in sorted(name for name in names if name.endswith(INDEX)):
        shards = read(index).get("weight_map")
        if not isinstance(shards, Mapping) or not shards:
            raise CheckpointError(f"{index} has no weight_map: download it again")
        sets[index.removesuffix(INDEX)] = (index, *sorted({str(name) for name in shards.values()}))
    indexed = {name for files in sets.values() for name in files}
    for name in sorted(name for name in names if name.endswith(WEIGHTS) and name not in indexed):
        if shard := SHARD.fullmatch(name):
            base, total = shard[1], int(shard[3])
            sets.setdefault(base, tuple(f"{base}-{i + 1:05}-of-{total:05}{WEIGHTS}" for i in range(total)))
        else:
            sets.setdefault(name.removesuffix(WEIGHTS), (name,))
    return sets
