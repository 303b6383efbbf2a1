"""Any other decoder that `transformers` has, run with its model class: slower than a file of its own here, but correct.

Ours are the quantized linears, which replace the class's own where the checkpoint has packed weights; the KV state,
which its attention layers fill through a `Cache` that writes into ours; and attention itself, if the class lets us
choose it. Which states a model keeps is found out by running it once on tensors without contents. Models that keep
anything else than keys and values (recurrent states) can't be trimmed and are refused. Code from a model folder is
never run.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode  # as in torch's own documentation
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM, Conv1D

from starfill.engine.kv.kv_cache import KVCache, KVShape
from starfill.engine.models.bridge import OURS, Bridge, OurLinear, Recorder
from starfill.engine.models.parameters import ParameterSource
from starfill.errors import CheckpointError

ATTENTIONS = (OURS, "eager")  # the first that works is taken; some classes have attention code of their own
# Before 4.53, classes make their masks themselves, and some keep their states in tuples or caches of their own.
OLD = not hasattr(transformers, "AttentionMaskInterface")
REMEDY = f"{'install transformers 4.53 or newer, or ' if OLD else ''}choose a model of another architecture"
# fields of config.json that we interpret ourselves
UNREAD = ("quantization_config", "auto_map", "torch_dtype", "dtype")


@dataclass(frozen=True, slots=True)
class Config:
    """theirs: the configuration class of transformers. attention: which of ATTENTIONS the class runs with."""

    theirs: Any
    attention: str
    n_layer: int
    n_embd: int
    n_head: int
    kv_heads: int
    head_dim: int  # the larger one if keys and values differ
    vocab_size: int
    context_length: int
    shapes: tuple[tuple[str, tuple[int, int]], ...]

    @classmethod
    def parse(cls, raw: Mapping[str, Any], source: str) -> Config:
        """Raises CheckpointError if transformers can't build it, or if it can't be run with our KV state."""
        theirs = _their_config(raw, source)
        text = theirs.get_text_config()
        if getattr(text, "sliding_window", None) and OLD:
            raise CheckpointError(
                f"model_type {raw['model_type']!r} in {source} has a sliding window, which transformers"
                f" {transformers.__version__} runs with a cache of its own only: {REMEDY}"
            )
        attention, model, kept = _probe(theirs, source)
        head = model.get_output_embeddings()
        shapes = {name: _features(part) for name, part in model.named_modules() if part is not head}
        return cls(
            theirs=theirs,
            attention=attention,
            n_layer=text.num_hidden_layers,
            n_embd=text.hidden_size,
            n_head=text.num_attention_heads,
            kv_heads=max(keys[1] for keys, _ in kept.values()),
            head_dim=max(max(keys[3], values[3]) for keys, values in kept.values()),
            vocab_size=text.vocab_size,
            # ALiBi's slopes have no longest context
            context_length=getattr(text, "max_position_embeddings", None) or 2048,
            shapes=tuple((name, shape) for name, shape in shapes.items() if shape is not None),
        )

    def kv_shape(self, quantized: bool, device: torch.device) -> KVShape:
        return KVShape(self.n_layer, self.kv_heads, self.head_dim, torch.float32, device)

    def linears(self) -> dict[str, tuple[int, int]]:
        """(in_features, out_features) of each linear layer of the class but the head, by name."""
        return dict(self.shapes)


def _features(module: nn.Module) -> tuple[int, int] | None:
    """(in_features, out_features) of a linear layer, None for other modules."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, Conv1D):  # GPT-2's kind of linear layer
        return module.nx, module.nf
    return None


def knows(model_type: str) -> bool:
    """Whether transformers has a decoder for it."""
    return model_type in CONFIG_MAPPING and CONFIG_MAPPING[model_type] in MODEL_FOR_CAUSAL_LM_MAPPING


def _their_config(raw: Mapping[str, Any], source: str) -> Any:
    fields = {name: value for name, value in raw.items() if name not in UNREAD}
    try:
        return transformers.AutoConfig.for_model(**fields)
    except Exception as error:  # a class may raise anything for fields that it doesn't accept
        raise CheckpointError(
            f"model_type {raw['model_type']!r} in {source} can't be run through transformers"
            f" {transformers.__version__} ({_first_line(error)}): {REMEDY}"
        ) from None


def _probe(theirs: Any, source: str) -> tuple[str, Any, dict[int, tuple[torch.Size, torch.Size]]]:
    """Compute one token with the class, on tensors without contents. Returns the attention that it runs with, and the
    shapes that its layers keep.
    """
    problem: Exception | None = None
    for name in ATTENTIONS:
        kept = Recorder()
        try:
            with FakeTensorMode(), torch.no_grad():
                model = _build(theirs, name)
                _one_token(model, {_cache_argument(model): kept, "use_cache": True})
        except Exception as error:  # it is their code, so anything may be raised
            problem = problem or error
            continue
        _check_states(kept, theirs, source)
        return name, model, kept.shapes
    assert problem is not None
    try:
        with FakeTensorMode(), torch.no_grad():
            _one_token(_build(theirs, "eager"), {"use_cache": False})
    except Exception:  # it can't be run at all
        raise CheckpointError(
            f"model_type {theirs.model_type!r} in {source} can't be run through transformers {transformers.__version__}"
            f" ({_first_line(problem)}): {REMEDY}"
        ) from None
    _check_states(kept, theirs, source)
    raise CheckpointError(
        f"model_type {theirs.model_type!r} in {source} can't be run with a KV state of ours through transformers"
        f" {transformers.__version__} ({_first_line(problem)}): {REMEDY}"
    )


def _one_token(model: nn.Module, options: dict[str, Any]) -> None:
    model(input_ids=torch.zeros(1, 1, dtype=torch.int64), **options)


def _check_states(kept: Recorder, theirs: Any, source: str) -> None:
    """Raises CheckpointError unless each layer keeps keys and values."""
    layers = theirs.get_text_config().num_hidden_layers
    if len(kept.shapes) != layers:
        raise CheckpointError(
            f"model_type {theirs.model_type!r} in {source} is not supported: {len(kept.shapes)} of its {layers} layers"
            f" keep keys and values where transformers {transformers.__version__} runs it, and other states can't be"
            f" taken back when text is edited: {REMEDY}"
        )


def _build(theirs: Any, attention: str) -> Any:
    return AutoModelForCausalLM.from_config(theirs, attn_implementation=attention).eval()  # type: ignore[no-untyped-call]


def _cache_argument(model: nn.Module) -> str:
    """The name of the class's argument for a KV cache: `cache` since transformers 5.24."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:150] if str(error).strip() else 'no message'}"


class Model:
    """A `LanguageModel`, see decoder.py."""

    through = "transformers"

    def __init__(self, config: Config, source: ParameterSource) -> None:
        if len(set(source.devices)) > 1:
            raise CheckpointError(
                f"model_type {config.theirs.model_type!r} runs through transformers, on one device only: use a smaller"
                " model, or device 'cpu'"
            )
        self.config = config
        self.kv_shape = config.kv_shape(source.quantized, source.device)
        with _parameters_on_meta():
            self._model = _build(config.theirs, config.attention)
        for name, shape in config.linears().items():
            if source.has(f"{name}.qweight"):
                bias = self._model.get_submodule(name).bias is not None
                _replace(self._model, name, OurLinear(source.linear(name, *shape, bias=bias)))
        self._load_head(source)
        for name, parameter in list(self._model.named_parameters()):
            value = source.tensor(name, tuple(parameter.shape))
            _replace(self._model, name, nn.Parameter(value, requires_grad=False))
        self._model.tie_weights()
        self._model.to(source.device)
        self._cache_argument = _cache_argument(self._model)
        self._keeps_few = "logits_to_keep" in inspect.signature(self._model.forward).parameters

    def _load_head(self, source: ParameterSource) -> None:
        """A head without a bias is one of our linears, whether it is tied to the embedding or not."""
        head, table = self._model.get_output_embeddings(), self._model.get_input_embeddings()
        names = {id(module): name for name, module in self._model.named_modules()}
        if type(head) is nn.Linear and head.bias is None and id(head) in names:
            name = names[id(head)]
            tied = f"{names[id(table)]}.weight" if self.config.theirs.tie_word_embeddings else None
            shape = (head.out_features, head.in_features)
            _replace(self._model, name, OurLinear(source.head(f"{name}.weight", tied, shape)))

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor:
        """See `Decoder.__call__`."""
        tokens = len(ids)
        cache.reserve(tokens)
        options: dict[str, Any] = {self._cache_argument: Bridge(cache, tokens), "use_cache": True}
        if self._keeps_few:
            options["logits_to_keep"] = max(last, 1)
        answer = self._model(input_ids=ids[None].to(cache.shape.device), **options)
        logits: torch.Tensor = answer.logits[0].float()
        cache.advance(tokens)
        return logits[len(logits) - last :]

    def step(self, ids: torch.Tensor, caches: Sequence[KVCache]) -> torch.Tensor:
        """See `Decoder.step`, but one sequence after the other: these classes need sequences of the same length."""
        return torch.cat([self(ids[n : n + 1], cache, 1) for n, cache in enumerate(caches)])


def _replace(model: nn.Module, name: str, new: nn.Module | nn.Parameter) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)


_building = (
    threading.local()
)  # .parameters_on_meta: True while this thread makes modules whose parameters take no memory


def _move_to_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> nn.Parameter | None:
    """A hook that torch calls for each parameter that a module gets, in any thread. Its result becomes the
    parameter.
    """
    if not getattr(_building, "parameters_on_meta", False) or parameter is None or parameter.device.type == "meta":
        return None
    return nn.Parameter(parameter.to("meta"), requires_grad=False)


# Registered once, for good: torch's table of hooks must not change while another thread iterates over it.
register_module_parameter_registration_hook(_move_to_meta)  # type: ignore[arg-type]  # what it returns is used


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """In modules that this thread makes inside, buffers (rotary tables) are real, and parameters take no memory."""
    _building.parameters_on_meta = True
    try:
        yield
    finally:
        _building.parameters_on_meta = False
