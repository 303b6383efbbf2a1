"""KV states on disk, so that a server that was restarted continues where the last one stopped.

States hold source code as token ids, and are private to the user: folders 0700, files 0600. There is one safetensors
file per document, in a folder per model. Together they are limited in bytes and in age. A file gets its name only when
it is complete. It is used for a prompt that begins with exactly its ids, and only if its checksum is right. So whatever
else has changed since (the text, the tokenizer, the layout of prompts), a wrong state is never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from starfill import __version__
from starfill.checkpoint.files import BESIDE
from starfill.engine.kv.kv_cache import KVCache, KVShape
from starfill.engine.kv.prefix_cache import Slot
from starfill.jobs import ModelInfo
from starfill.util.common_prefix import common_prefix
from starfill.util.file_stamp import stamp

FORMAT = "2"  # increase it when the same ids lead to other KV states, or when states are written in another form
AGE = 14 * 24 * 3600  # seconds; a state that wasn't used for so long is removed
PARTIAL = "partial-"
ABANDONED = 3600  # seconds; a file that is still incomplete then has no writer any more


@dataclass(frozen=True, slots=True)
class UnsavedState:
    """A state that is to be saved. layers: as returned by `KVCache.layers`."""

    document: str
    ids: tuple[int, ...]
    layers: Sequence[torch.Tensor]

    @property
    def nbytes(self) -> int:
        return sum(layer.nbytes for layer in self.layers)


@dataclass(frozen=True, slots=True)
class SavedState:
    """A saved state. used: seconds since the epoch."""

    path: Path
    document: str
    ids: tuple[int, ...]
    nbytes: int
    used: float


def model_key(folder: Path, weights: Sequence[Path], info: ModelInfo) -> str:
    """A name for everything that determines the KV state of a text: files, program and machine.

    folder: the checkpoint's. weights: its files of weights.
    """
    beside = (folder / name for name in BESIDE)
    files = [*weights, *(path for path in beside if path.is_file())]
    machine = [torch.__version__, torch.backends.cpu.get_cpu_capability(), info.device, info.kernel]
    if info.device.startswith("cuda"):
        machine.append(torch.cuda.get_device_name())
    parts = [FORMAT, __version__, *machine, *map(stamp, files)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class DiskStore:
    """The saved states of one model. root: the folder of all models. limit: bytes for all of them.

    keeps: whether a document may be saved; other documents' states are removed.
    """

    def __init__(
        self, root: Path, model: str, limit: int, keeps: Callable[[str], bool], clock: Callable[[], float] = time.time
    ) -> None:
        self.limit, self.keeps = limit, keeps
        self._root, self._folder, self._clock = root, root / model, clock
        self._entries: list[SavedState] = []

    def open(self) -> None:
        """Look which states there are, and remove those that may not be kept."""
        for entry in entries(self._root):
            if not self.keeps(entry.document):
                _remove(entry.path)
        prune(self._root, self.limit, self._clock())
        self._entries = [entry for entry in entries(self._root) if entry.path.parent == self._folder]

    def load(self, ids: Sequence[int], more_than: int, shape: KVShape) -> Slot | None:
        """The state that shares most with `ids`, if that is more than `more_than` tokens. Each state is returned once.

        A file that is damaged or doesn't fit the model is removed.
        """
        best = max(self._entries, key=lambda entry: common_prefix(entry.ids, ids), default=None)
        if best is None or common_prefix(best.ids, ids) <= more_than:
            return None
        self._entries.remove(best)
        layers = _read(best, shape)
        if layers is None:
            _remove(best.path)
            return None
        with suppress(OSError):
            os.utime(best.path)
        return Slot(KVCache.of(shape, layers), best.ids)

    def save(self, states: Iterable[UnsavedState]) -> None:
        """Write states, the most recently used first, as long as they fit into the limit. A state that can't be written
        is left out.
        """
        now, total = self._clock(), 0
        for position, state in enumerate(states):
            total += state.nbytes
            if total > self.limit:
                break
            with suppress(OSError, SafetensorError):
                self._write(state, now - position)
        prune(self._root, self.limit, now)

    def expire(self) -> None:
        """Saving is off: remove what is too old, of all models."""
        prune(self._root, sys.maxsize, self._clock())

    def clear(self) -> None:
        clear(self._root)

    def _write(self, state: UnsavedState, used: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for folder in (self._root, self._folder):
            folder.chmod(0o700)
        ids = torch.tensor(state.ids, dtype=torch.int64)
        tensors = {"ids": ids, **{f"layer.{number}": layer for number, layer in enumerate(state.layers)}}
        descriptor, name = tempfile.mkstemp(prefix=PARTIAL, dir=self._folder)  # 0600
        os.close(descriptor)
        partial = Path(name)
        try:
            metadata = {"document": state.document, "checksum": _checksum(state.document, tensors.values())}
            save_file(tensors, partial, metadata)
            partial.chmod(0o600)
            os.utime(partial, (used, used))
            partial.replace(self._folder / f"{hashlib.sha256(state.document.encode()).hexdigest()[:32]}.safetensors")
        finally:
            partial.unlink(missing_ok=True)


def entries(root: Path) -> list[SavedState]:
    """The saved states of all models, the least recently used first. Damaged files are removed."""
    found = []
    for path in root.glob("*/*.safetensors"):
        try:
            with safe_open(path, framework="pt") as file:
                document, ids = file.metadata()["document"], tuple(file.get_tensor("ids").tolist())
            stat = path.stat()
        except OSError:  # another process has removed it
            continue
        except (SafetensorError, KeyError, TypeError):
            _remove(path)
            continue
        found.append(SavedState(path, document, ids, stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda entry: entry.used)


def prune(root: Path, limit: int, now: float) -> None:
    """Remove states that are too old or beyond `limit` bytes, and files that were never finished."""
    files = []
    for path in root.glob("*/*"):
        with suppress(OSError):  # another process has removed it
            files.append((path, path.stat()))
    files.sort(key=lambda each: -each[1].st_mtime)
    total = 0
    for path, stat in files:
        total += stat.st_size
        age = now - stat.st_mtime
        if path.name.startswith(PARTIAL):
            if age > ABANDONED:
                _remove(path)
        elif total > limit or age > AGE:
            _remove(path)
    for folder in root.glob("*/"):
        with suppress(OSError):
            folder.rmdir()  # if it is empty


def clear(root: Path) -> int:
    """Remove all saved states. Returns the number of bytes freed."""
    freed = sum(entry.nbytes for entry in entries(root))
    shutil.rmtree(root, ignore_errors=True)
    return freed


def _read(entry: SavedState, shape: KVShape) -> list[torch.Tensor] | None:
    """The layers of a saved state; None if it is damaged or has another shape."""
    try:
        with safe_open(entry.path, framework="pt") as file:
            metadata, ids = file.metadata(), file.get_tensor("ids")
            layers = [file.get_tensor(f"layer.{number}") for number in range(shape.layers)]
    except (OSError, SafetensorError):
        return None
    expected = (2, shape.kv_heads, len(entry.ids), shape.head_dim)
    if any(layer.shape != expected or layer.dtype != shape.dtype for layer in layers):
        return None
    whole = metadata.get("checksum") == _checksum(entry.document, (ids, *layers))
    return layers if whole and tuple(ids.tolist()) == entry.ids else None


def _checksum(document: str, tensors: Iterable[torch.Tensor]) -> str:
    digest = hashlib.sha256(document.encode())
    for tensor in tensors:
        digest.update(tensor.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
