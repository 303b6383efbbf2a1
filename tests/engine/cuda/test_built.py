"""Every kernel builds for the chips that it is meant for, within what they have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = {80: 163, 86: 99, 89: 99, 90: 227}  # KiB that a program can have, by compute capability


@pytest.mark.parametrize("capability", SHARED)
def test_every_kernel_builds(capability: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("built.py"), str(capability)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert reports
    for report in reports:
        assert report["shared"] <= SHARED[capability] << 10, report
        assert report["stack"] <= 8, report  # registers suffice, but for a pair of them in one kernel for sm_80
        assert report["wide"], report
