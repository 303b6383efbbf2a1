"""Repacked weights on disk, so that only the first start of a checkpoint has to repack them.

There is one folder per checkpoint and kernel, named after a digest of the weight files' contents and the version of the
packing, with one safetensors file per linear layer. The folders are limited in bytes; the least recently used one is
removed first. A folder gets its name only when it is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from starfill.util.file_stamp import stamp

PACKING = 3  # increase it when a kernel packs differently
LIMIT = 64 << 30  # bytes
DIGESTS = "digests.json"
ENTRY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class CachedWeights:
    """One checkpoint's repacked weights."""

    path: Path
    nbytes: int
    used: float  # seconds since the epoch


class PackedCache:
    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def key(self, files: Iterable[Path], kernel: str) -> str:
        """A digest of the kernel's name and the files' contents, remembered by `stamp`."""
        known = self._digests()
        whole = hashlib.sha256(f"{kernel} {PACKING}".encode())
        for file in files:
            seen = stamp(file)
            if seen not in known:
                known[seen] = _digest(file)
                self._write_digests(known)
            whole.update(known[seen].encode())
        return whole.hexdigest()[:32]

    def reader(self, key: str) -> Path | None:
        """The folder of a complete entry, marked as used now."""
        path = self.folder / key
        if not path.is_dir():
            return None
        with suppress(OSError):  # the cache may be read-only
            os.utime(path)
        return path

    def writer(self) -> Path | None:
        """A new folder to fill and then `publish`; None if the cache can't be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix="partial-", dir=self.folder))
        except OSError:
            return None

    def publish(self, filled: Path, key: str) -> Path:
        target = self.folder / key
        try:
            filled.rename(target)
        except OSError:  # another process was faster; its folder is as good
            if not target.is_dir():
                return filled
            shutil.rmtree(filled, ignore_errors=True)
        self._shrink(keep=key)
        return target

    def entries(self) -> list[CachedWeights]:
        """The least recently used first."""
        found = [
            CachedWeights(path, sum(file.stat().st_size for file in path.iterdir()), path.stat().st_mtime)
            for path in (self.folder.iterdir() if self.folder.is_dir() else ())
            if path.is_dir() and (ENTRY.fullmatch(path.name) or path.name.startswith("partial-"))
        ]
        return sorted(found, key=lambda entry: entry.used)

    def clear(self) -> int:
        """Remove everything. Returns the number of bytes freed."""
        entries = self.entries()
        for entry in entries:
            shutil.rmtree(entry.path, ignore_errors=True)
        (self.folder / DIGESTS).unlink(missing_ok=True)
        return sum(entry.nbytes for entry in entries)

    def _shrink(self, keep: str) -> None:
        entries = self.entries()
        total = sum(entry.nbytes for entry in entries)
        for entry in entries:
            if total <= self.limit:
                return
            if entry.path.name != keep:
                shutil.rmtree(entry.path, ignore_errors=True)
                total -= entry.nbytes

    def _digests(self) -> dict[str, str]:
        try:
            known = json.loads((self.folder / DIGESTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write_digests(self, known: dict[str, str]) -> None:
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / DIGESTS).write_text(json.dumps(known), encoding="utf-8")


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def save(tensors: dict[str, torch.Tensor], folder: Path, name: str) -> None:
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / f"{name}.safetensors")


def load(folder: Path, name: str) -> dict[str, torch.Tensor] | None:
    """The tensors of one layer, mapped; None if the file is missing or damaged."""
    try:
        with safe_open(folder / f"{name}.safetensors", framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - a handle is no mapping
    except (SafetensorError, OSError):
        return None
