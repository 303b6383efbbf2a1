"""States to save, and a clock to turn."""

from __future__ import annotations

from pathlib import Path

import torch

from starfill.engine.kv.disk_store import DiskStore, UnsavedState
from starfill.engine.kv.kv_cache import KVShape

SHAPE = KVShape(2, 1, 4, torch.float32, torch.device("cpu"))


PLENTY = 1 << 30


NOW = 1_800_000_000.0


URI = "file:///a.py"


def everything(document: str) -> bool:
    return True


def state(document: str, ids: list[int]) -> UnsavedState:
    rng = torch.Generator().manual_seed(len(ids))
    return UnsavedState(document, tuple(ids), [torch.randn(2, 1, len(ids), 4, generator=rng) for _ in range(2)])


def states(root: Path, limit: int = PLENTY, model: str = "model", **more: object) -> DiskStore:
    """Opened, as a server does when it starts."""
    saved = DiskStore(root, model, limit, more.pop("keeps", everything), lambda: more.get("now", NOW))  # type: ignore[arg-type, return-value]
    saved.open()
    return saved


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


IDS = list(range(50))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now
