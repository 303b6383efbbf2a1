"""Fixtures that more than one room uses. Nothing here downloads anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from random_checkpoint import SHAPES, Layout, write

TINY = SHAPES["tiny"]
MakeCheckpoint = Callable[..., Path]


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> MakeCheckpoint:
    """make_checkpoint(layout, **changes to the tiny shape) -> the folder of a random gpt_bigcode checkpoint."""

    def make(layout: Layout, **changes: int) -> Path:
        folder = tmp_path_factory.mktemp("checkpoint")
        return write(folder, dataclasses.replace(TINY, **changes), layout)

    return make
