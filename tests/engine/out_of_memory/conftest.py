"""A device whose memory can run out, and an engine on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.out_of_memory.scarce_memory import Device, Wanting, served
from starfill.engine.kv import kv_cache
from starfill.engine.local_engine import LocalEngine


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(kv_cache, "allocate", device.allocate)
    return device


@pytest.fixture
def engine(device: Device) -> Iterator[LocalEngine]:
    engine = served(Wanting(device))
    yield engine
    engine.scheduler.close()
