"""Every kernel builds for the chips that it is meant for, within what they have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SHARED = {80: 163, 86: 99, 89: 99, 90: 227}  # KiB that a program can have, by compute capability


@pytest.fixture(scope="module")
def reports() -> list[dict[str, Any]]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("built.py"), *map(str, SHARED)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("capability", SHARED)
def test_every_kernel_builds(capability: int, reports: list[dict[str, Any]]) -> None:
    mine = [report for report in reports if report["capability"] == capability]
    assert mine and len(mine) * len(SHARED) == len(reports)
    for report in mine:
        assert report["shared"] <= SHARED[capability] << 10, report
        assert report["stack"] <= 8, report  # registers suffice, but for a pair of them in one kernel for sm_80
        assert report["wide"], report
