"""Where files lie: the bundled model, and what Starfill keeps on this machine."""

from __future__ import annotations

from pathlib import Path

import platformdirs

BUNDLED = Path(__file__).parents[1] / "bundled" / "model"
"""The folder of the checkpoint that comes with Starfill."""


def packed_weights() -> Path:
    """Repacked weights, see `engine/loading/packed_cache.py`."""
    return Path(platformdirs.user_cache_dir("starfill")) / "packed"


def saved_states() -> Path:
    """KV states that are saved for the next start, see `engine/kv/disk_store.py`."""
    return Path(platformdirs.user_state_dir("starfill")) / "states"


def allowed_engines() -> Path:
    """The file of `allowed_engines.py`."""
    return Path(platformdirs.user_config_dir("starfill")) / "engines.json"
