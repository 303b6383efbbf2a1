"""Repacked linears of a checkpoint that is being loaded: taken from the cache on disk, or made and stored there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from starfill.engine.linear.select import PackedLinear, Restore
from starfill.engine.loading import heap, packed_cache
from starfill.engine.loading.packed_cache import PackedCache


class Repacking:
    def __init__(self, cache: PackedCache | None, files: Iterable[Path], kernel: str) -> None:
        """cache None: keep them in memory only. files: the checkpoint's weight files. kernel: its name."""
        self._cache = cache
        self._reading: Path | None = None
        self._writing: Path | None = None
        if cache is not None:
            self._key = cache.key(files, kernel)
            self._reading = cache.reader(self._key)
            self._writing = None if self._reading else cache.writer()

    @property
    def doing(self) -> str:
        return "mapping" if self._reading is not None else "repacking"

    def linear(
        self, name: str, out_features: int, make: Callable[[], PackedLinear], restore: Restore | None
    ) -> PackedLinear:
        """restore: makes the layer from what the cache holds; None if nothing is kept there."""
        if restore is None:
            return make()
        if self._reading is not None:
            tensors = packed_cache.load(self._reading, name)
            if tensors is not None:
                return restore(tensors, out_features)
        linear = make()
        heap.release()
        if self._writing is None:
            return linear
        try:
            packed_cache.save(linear.tensors(), self._writing, name)
        except OSError:  # the disk is full: go on in memory
            self.discard()
            return linear
        tensors = packed_cache.load(self._writing, name)
        return linear if tensors is None else restore(tensors, out_features)

    def publish(self) -> None:
        """All linears were made: make them visible in the cache."""
        if self._cache is not None and self._writing is not None:
            self._cache.publish(self._writing, self._key)
            self._writing = None

    def discard(self) -> None:
        """Remove what a failed load left unfinished."""
        if self._writing is not None:
            shutil.rmtree(self._writing, ignore_errors=True)
            self._writing = None
