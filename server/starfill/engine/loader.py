"""From a checkpoint on disk to a model that runs: parameters are mapped, linears repacked once and then mapped too."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from starfill.checkpoint.config import CheckpointConfig, Quantization
from starfill.checkpoint.weights import FLOATS, Weights
from starfill.engine.job import ModelInfo
from starfill.engine.linear import cpu, heap, packed_cache
from starfill.engine.linear.dense import DenseLinear, unpack
from starfill.engine.linear.packed_cache import PackedCache
from starfill.engine.linear.reference import Packed
from starfill.engine.linear.select import Kernel, Linear, Shape, select
from starfill.engine.models import gpt_bigcode
from starfill.errors import CheckpointError, SettingsError

Report = Callable[[float, str], None]  # fraction done 0..1, what is being done
ARCHITECTURES = {"gpt_bigcode": gpt_bigcode.Config}


@dataclass(frozen=True, slots=True)
class Loaded:
    model: gpt_bigcode.Model
    info: ModelInfo


def parse_architecture(config: CheckpointConfig) -> gpt_bigcode.Config:
    """Raises CheckpointError for an architecture that Starfill doesn't run, or a bad config.json."""
    architecture = ARCHITECTURES.get(config.model_type)
    if architecture is None:
        raise CheckpointError(
            f"model_type {config.model_type!r} in {config.folder / 'config.json'} is not supported:"
            f" Starfill runs {', '.join(ARCHITECTURES)}"
        )
    return architecture.parse(config.model, str(config.folder / "config.json"))


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
) -> Loaded:
    """Raises CheckpointError naming the file, tensor or field that can't be used.

    cache: where repacked linears are kept, None to keep them in memory only. name: to show, else the folder's.
    """
    architecture = parse_architecture(config)
    weights = Weights.open(config)
    source = CheckpointSource(config, weights, architecture, device, cache, report)
    with torch.inference_mode():
        try:
            model = gpt_bigcode.Model(architecture, source)
            source.publish()
        finally:
            source.discard()
    report(1.0, "ready")
    return Loaded(
        model,
        ModelInfo(
            name=name or config.folder.name,
            architecture=config.model_type,
            device=str(device),
            kernel=source.kernel.name,
            context_length=architecture.context_length,
            vocab_size=architecture.vocab_size,
            kv_bytes_per_token=model.kv_shape.bytes_per_token,
            weight_bytes=source.nbytes,
        ),
    )


class CheckpointSource:
    """The `Source` of a model's parameters; see models/source.py."""

    def __init__(
        self,
        config: CheckpointConfig,
        weights: Weights,
        architecture: gpt_bigcode.Config,
        device: torch.device,
        cache: PackedCache | None,
        report: Report,
    ) -> None:
        self.device = device
        self.nbytes = 0
        self._config, self._weights, self._report = config, weights, report
        self._quantization = config.quantization
        self._total, self._done = len(architecture.linears()) + 1, 0
        in_features = next(iter(architecture.linears().values()))[0]
        self.kernel = self._select(in_features)
        self._dtype = torch.float32 if device.type == "cpu" else torch.float16
        self._cache = cache if self.kernel.name.startswith("int4pack") else None
        self._reading: Path | None = None
        self._writing: Path | None = None
        if self._cache is not None:
            self._key = self._cache.key(weights.files)
            self._reading = self._cache.reader(self._key)
            self._writing = None if self._reading else self._cache.writer()

    def tensor(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return self._count(self._weights.get(name, shape).to(self.device, torch.float32, copy=True))

    def table(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return self._count(self._weights.get(name, shape).to(self.device))

    def linear(self, name: str, in_features: int, out_features: int) -> Linear:
        self._step()
        q = self._quantization
        if q is None:
            weight = self._weights.get(f"{name}.weight", (out_features, in_features))
            return self._counted(self._dense(weight, self._bias(name, out_features)))
        kernel = self._select(in_features)
        if kernel.name == "dense":
            return self._counted(unpack(self._packed(name, in_features, out_features, q), self._dtype, self.device))
        return self._counted(
            self._through_cache(name, out_features, lambda: cpu.pack(self._packed(name, in_features, out_features, q)))
        )

    def head(self, name: str, tied: str, shape: tuple[int, ...]) -> Linear:
        self._step()
        stored = name if name in self._weights else tied
        weight = self._weights.get(stored, shape)
        if not self.kernel.name.startswith("int4pack") or cpu.kernel_group(shape[1], 1) is None:
            return self._counted(self._dense(weight, None))
        return self._counted(self._through_cache(name, shape[0], lambda: cpu.quantize_head(weight)))

    def publish(self) -> None:
        """All parameters were read: let the repacked linears appear in the cache."""
        if self._cache is not None and self._writing is not None:
            self._cache.publish(self._writing, self._key)
            self._writing = None

    def discard(self) -> None:
        """Remove what a failed load left half-finished."""
        if self._writing is not None:
            shutil.rmtree(self._writing, ignore_errors=True)

    def _select(self, in_features: int) -> Kernel:
        q = self._quantization
        if q is None:
            return select(Shape(self.device.type, None, in_features, 1))
        return select(Shape(self.device.type, q.bits, in_features, q.groups(in_features)))

    def _through_cache(self, name: str, out_features: int, make: Callable[[], cpu.Int4Linear]) -> Linear:
        if self._reading is not None:
            tensors = packed_cache.load(self._reading, name)
            if tensors is not None:
                return cpu.Int4Linear.from_tensors(tensors, out_features)
        linear = make()
        heap.release()
        if self._writing is None:
            return linear
        try:
            packed_cache.save(linear.tensors(), self._writing, name)
        except OSError:  # a full disk: go on in memory
            self.discard()
            self._writing = None
            return linear
        tensors = packed_cache.load(self._writing, name)
        return linear if tensors is None else cpu.Int4Linear.from_tensors(tensors, out_features)

    def _packed(self, name: str, in_features: int, out_features: int, q: Quantization) -> Packed:
        group_size = in_features if q.group_size == -1 else q.group_size
        if in_features % group_size:
            raise CheckpointError(
                f"group_size {group_size} in the quantization settings of {self._config.folder} does not divide the"
                f" {in_features} input features of {name}: the settings belong to another checkpoint"
            )
        if in_features % 32 or out_features % 32:
            raise CheckpointError(
                f"{name} in {self._config.folder} has {in_features} x {out_features} features, and GPTQ packs multiples"
                " of 32: config.json and the weights don't fit together"
            )
        groups = in_features // group_size
        get = self._weights.get
        g_idx = torch.arange(in_features, dtype=torch.int32) // group_size
        if f"{name}.g_idx" in self._weights:
            g_idx = get(f"{name}.g_idx", (in_features,), ("I32", "I64"))
        inside = bool(((g_idx >= 0) & (g_idx < groups)).all())
        if not inside or not bool((torch.bincount(g_idx, minlength=groups) == group_size).all()):
            raise CheckpointError(
                f"{name}.g_idx in {self._config.folder} doesn't put {group_size} input features into each group:"
                " the file is damaged or its quantization settings belong to another checkpoint, download it again"
            )
        return Packed(
            qweight=get(f"{name}.qweight", (in_features * q.bits // 32, out_features), ("I32",)),
            qzeros=get(f"{name}.qzeros", (groups, out_features * q.bits // 32), ("I32",)),
            scales=get(f"{name}.scales", (groups, out_features)),
            g_idx=g_idx,
            bias=self._bias(name, out_features),
            bits=q.bits,
            zero_offset=1 if q.checkpoint_format == "gptq" else 0,
        )

    def _bias(self, name: str, out_features: int) -> torch.Tensor | None:
        if f"{name}.bias" not in self._weights:
            return None
        return self._weights.get(f"{name}.bias", (out_features,), FLOATS)

    def _dense(self, weight: torch.Tensor, bias: torch.Tensor | None) -> DenseLinear:
        where, dtype = self.device, self._dtype
        return DenseLinear(weight.to(where, dtype), None if bias is None else bias.to(where, dtype))

    def _count(self, tensor: torch.Tensor) -> torch.Tensor:
        self.nbytes += tensor.nbytes
        return tensor

    def _counted(self, linear: Linear) -> Linear:
        self.nbytes += linear.nbytes
        return linear

    def _step(self) -> None:
        done = "mapping weights" if self._reading is not None else "repacking weights"
        self._report(self._done / self._total, done)
        self._done += 1
