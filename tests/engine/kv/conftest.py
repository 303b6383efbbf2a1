"""A clock that a test turns."""

from __future__ import annotations

import pytest

from engine.kv.saving import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
