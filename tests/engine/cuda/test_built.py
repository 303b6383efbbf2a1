"""Every kernel builds for the chips that it is meant for, within what they have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# KiB that a program can have, by compute capability: the one with least (89 has as much) and the newest. A kernel takes
# seconds to compile for each, so the others (80: 163 KiB) are for whoever changes one: built.py takes any.
SHARED = {86: 99, 90: 227}


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
        assert report["stack"] == 0, report
        assert report["wide"], report
