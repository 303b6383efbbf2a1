"""`make demo` plays scenes in files of this repository, which change."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

CLIENTS = Path(__file__).parent.parent / "clients"


def test_each_scene_is_found_in_its_file() -> None:
    spec = importlib.util.spec_from_file_location("make_demo", CLIENTS / "demo.py")
    assert spec is not None and spec.loader is not None
    sys.modules["make_demo"] = demo = importlib.util.module_from_spec(spec)  # dataclasses look there
    spec.loader.exec_module(demo)
    assert len(demo.SCENES) > 5
    for scene in demo.SCENES:
        assert scene.line in (CLIENTS.parent / scene.file).read_text(encoding="utf-8"), scene
        assert scene.line.startswith(scene.keep) and scene.line != scene.keep, scene
