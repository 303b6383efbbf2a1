"""transformers' model of a checkpoint without its weights, which are read one layer at a time when they are needed.

Parameters are on torch's meta device (shapes only). Buffers are computed for real, since no checkpoint has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from starfill.checkpoint.config import CheckpointConfig
from starfill.checkpoint.weights import Weights
from starfill.errors import CheckpointError


class Skeleton:
    """layers: the decoder's, in order. prefix: their name in the checkpoint ("model.layers").

    names: the tensors of the model, with a head that is the embedding table only if `copy_head`.
    linears: (in, out) features of each quantizable layer by its full name.
    """

    def __init__(self, config: CheckpointConfig, device: torch.device, copy_head: bool = True) -> None:
        """Raises CheckpointError for an architecture or weights that can't be quantized."""
        self.weights = Weights.open(config)
        self.device = device
        with _parameters_on_meta():
            self.model = _model(config)
        self.model.requires_grad_(False)
        self.model.train(False)
        self.prefix, self.layers = _layers(self.model)
        self._head, table = (
            next(name for name, module in self.model.named_modules() if module is wanted)
            for wanted in (self.model.get_output_embeddings(), self.model.get_input_embeddings())
        )
        tied = getattr(self.model.config, "tie_word_embeddings", False)
        self._stored = {f"{self._head}.weight": f"{table}.weight"} if tied else {}
        self.names = [name for name in self.model.state_dict() if copy_head or name not in self._stored]
        for name in self.names:
            self.weights.entry(self.stored(name))
        self.linears = {
            f"{self.prefix}.{number}.{name}": (module.in_features, module.out_features)
            for number, layer in enumerate(self.layers)
            for name, module in layer.named_modules()
            if isinstance(module, nn.Linear)
        }
        if not self.linears:
            raise CheckpointError(
                f"the layers of {config.folder} hold no linear layers of torch's own kind to quantize"
            )
        for module in self.model.modules():
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, buffer.to(device))

    @property
    def context_length(self) -> int:
        """Positions that one pass can take: learned ones, or those inside a sliding window."""
        config = self.model.config
        limits = (getattr(config, name, None) for name in ("max_position_embeddings", "sliding_window"))
        return min((limit for limit in limits if limit), default=2048)

    def stored(self, name: str) -> str:
        """The name under which the checkpoint holds a tensor of the model: a tied head is its embedding table."""
        return self._stored.get(name, name)

    def load_outside(self) -> None:
        """Load what runs before the first layer: everything but the layers and the output head."""
        for name, module in self.model.named_modules():
            if not f"{name}.".startswith((f"{self.prefix}.", f"{self._head}.")):
                self._fill(module, name, recurse=False)

    def load_layer(self, number: int) -> nn.Module:
        layer: nn.Module = self.layers[number]
        self._fill(layer, f"{self.prefix}.{number}", recurse=True)
        return layer

    @staticmethod
    def free(module: nn.Module) -> None:
        """Free the memory of all parameters inside."""
        for part in module.modules():
            for name, parameter in part.named_parameters(recurse=False):
                setattr(part, name, nn.Parameter(parameter.to("meta"), False))

    def _fill(self, module: nn.Module, name: str, recurse: bool) -> None:
        start = f"{name}." if name else ""
        tensors = {
            part: self.weights.get(start + part, parameter.shape).to(self.device, torch.float32)
            for part, parameter in module.named_parameters(recurse=recurse)
        }
        module.load_state_dict(tensors, strict=False, assign=True)
        module.requires_grad_(False)


def classic(raw: Mapping[str, Any]) -> dict[str, Any]:
    """config.json with the rotary settings also under their older names, which transformers 4 looks for.

    transformers 5 writes `rope_parameters`. If transformers 4 doesn't find `rope_theta`, it silently takes 10000.
    """
    rope = raw.get("rope_parameters")
    if not isinstance(rope, Mapping) or "rope_theta" not in rope:
        return dict(raw)
    found = {"rope_theta": rope["rope_theta"], **raw}
    if rope.get("rope_type", "default") != "default":
        found.setdefault("rope_scaling", {key: value for key, value in rope.items() if key != "rope_theta"})
    return found


def _model(config: CheckpointConfig) -> Any:
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    source = config.folder / "config.json"
    if config.model_type not in CONFIG_MAPPING:
        raise CheckpointError(
            f"model_type {config.model_type!r} in {source} is not one that the installed transformers knows: only its"
            " own architectures can be quantized"
        )
    raw = {
        key: value for key, value in classic(config.model).items() if key not in ("dtype", "torch_dtype", "auto_map")
    }
    try:
        return AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            CONFIG_MAPPING[config.model_type].from_dict(raw)
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{source} gives transformers no language model ({error})") from None


def _layers(model: Any) -> tuple[str, nn.ModuleList]:
    """The outermost list with as many modules as the model has layers."""
    count = model.config.num_hidden_layers
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    raise CheckpointError(f"transformers' {type(model).__name__} has no list of {count} layers to quantize")


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Each parameter of a module that is made inside moves to the meta device before anything fills it."""
    register = nn.Module.register_parameter

    def on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        register(module, name, parameter if parameter is None else nn.Parameter(parameter.to("meta"), False))

    with patch.object(nn.Module, "register_parameter", on_meta):
        yield
