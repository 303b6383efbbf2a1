"""The memory of the process stays flat while somebody types: a short soak, as long as the test run allows."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from soak.typist import ALLOWED, OPTIONS, growth, soak

ACTS = 240


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what another process holds")
def test_memory_stays_flat() -> None:
    with closing(soak()) as acts:
        memory = list(islice(acts, ACTS))
    assert growth(memory) < ALLOWED
    assert max(memory) - memory[0] < 8 * OPTIONS["cacheBytes"]


def test_growth_leaves_the_warming_up_out() -> None:
    assert growth([*range(0, 1000, 10), *[1000] * 300]) == 0
    assert growth(list(range(400))) == 200
