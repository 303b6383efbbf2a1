"""A checkpoint folder's `config.json` and its quantization, read and checked.

The quantization is in `quantize_config.json` (auto-gptq) or under `quantization_config` in `config.json` (transformers,
optimum). If both exist, `quantize_config.json` wins, as in auto-gptq.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starfill.errors import CheckpointError

SUPPORTED_BITS = (3, 4, 8)
FORMATS = ("gptq", "gptq_v2")


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the linear layers were quantized.

    group_size: input rows that share a scale, -1 for all of them. checkpoint_format: "gptq" stores zero - 1, "gptq_v2"
    stores the zero itself.
    """

    bits: int
    group_size: int
    desc_act: bool
    sym: bool
    checkpoint_format: str
    weights_name: str | None  # model_file_base_name: the name of the safetensors file without its extension

    def groups(self, in_features: int) -> int:
        """How many groups a layer's input rows form."""
        return 1 if self.group_size == -1 else max(1, in_features // self.group_size)

    def __str__(self) -> str:
        order = "desc_act" if self.desc_act else "no desc_act"
        zero_points = "symmetric" if self.sym else "asymmetric"
        return f"GPTQ {self.bits}-bit, group_size {self.group_size}, {order}, {zero_points}, {self.checkpoint_format}"


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    folder: Path
    model_type: str
    model: Mapping[str, Any]
    quantization: Quantization | None


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is missing: a checkpoint folder needs it, copy it from the model's page"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} can't be read as JSON ({error}): copy it again from the model's page") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object: copy it again from the model's page")
    return value


def read_config(folder: Path) -> CheckpointConfig:
    """Raises CheckpointError if the folder is no checkpoint, or its quantization is not one that Starfill reads."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder: give the path of a downloaded checkpoint, or 'bundled'")
    model = read_json(folder / "config.json")
    model_type = model.get("model_type")
    if not isinstance(model_type, str):
        raise CheckpointError(f"{folder / 'config.json'} names no model_type: copy it again from the model's page")
    return CheckpointConfig(folder, model_type, model, _quantization(folder, model))


def _quantization(folder: Path, model: Mapping[str, Any]) -> Quantization | None:
    source = folder / "quantize_config.json"
    if source.exists():
        return parse_quantization(read_json(source), source)
    source = folder / "config.json"
    raw = model.get("quantization_config")
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise CheckpointError(f"quantization_config in {source} is no JSON object: copy it again from the model's page")
    return parse_quantization(raw, source)


def parse_quantization(raw: Mapping[str, Any], source: Path) -> Quantization:
    """Raises CheckpointError naming the field of `source` that is wrong."""
    method = raw.get("quant_method", "gptq")
    if method != "gptq":
        raise CheckpointError(
            f"quant_method {method!r} in {source} is not supported: Starfill reads 'gptq' checkpoints"
        )
    bits, group_size = raw.get("bits"), raw.get("group_size", -1)
    if type(bits) is not int or bits not in SUPPORTED_BITS:
        raise CheckpointError(f"bits {bits!r} in {source} is not supported: Starfill reads 3, 4 and 8 bits")
    if type(group_size) is not int or group_size == 0 or group_size < -1:
        raise CheckpointError(f"group_size {group_size!r} in {source} is not valid: it is -1 or a positive number")
    form = raw.get("checkpoint_format", "gptq")
    if form not in FORMATS or raw.get("is_marlin_format", False):
        form = "marlin" if raw.get("is_marlin_format", False) else form
        raise CheckpointError(
            f"checkpoint_format {form!r} in {source} is not supported: Starfill reads 'gptq' and 'gptq_v2'"
        )
    name = raw.get("model_file_base_name")
    return Quantization(
        bits=bits,
        group_size=group_size,
        desc_act=bool(raw.get("desc_act", False)),
        sym=bool(raw.get("sym", True)),
        checkpoint_format=form,
        weights_name=name if isinstance(name, str) else None,
    )
