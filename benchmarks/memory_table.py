"""What checkpoints need on the CPU, as the table in docs/models.md: python benchmarks/memory_table.py

Worked out from headers alone, so that nothing large is written or loaded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checkpoints.mission import MISSION, Published
from checkpoints.random_checkpoint import Layout, named, write_published
from checkpoints.shapes import SHAPES
from starfill.config.folders import BUNDLED
from starfill.engine.loading.inspect import inspect, shown_bytes

HEAD = (
    "| model | weights | held in memory | state per token | state of a full context | needed in all, 2048 tokens |",
    "| --- | --- | --- | --- | --- | --- |",
)
ONE_B = {"StarCoderBase-1B (4-bit, 128)": "starcoderbase-1b", "TinyLlama-1.1B (4-bit, 128)": "tinyllama-1.1b"}


def rows() -> Iterator[str]:
    yield row("bundled", BUNDLED)
    layout = Layout(4, 128, desc_act=True)
    plain = {name: named(SHAPES[key], layout) for name, key in ONE_B.items()}
    branches = {f"{short(published)} ({published.revision})": published for published in MISSION.values()}
    for name, published in {**plain, **branches}.items():
        with tempfile.TemporaryDirectory() as folder:
            yield row(name, write_published(Path(folder), published, sparse=True))


def short(published: Published) -> str:
    return published.repository.split("/")[1].removesuffix("-GPTQ")


def row(name: str, folder: Path) -> str:
    facts: dict[str, Any] = {fact.key: fact.value for fact in inspect(folder, device_name="cpu")}
    per_token, context = facts["kvBytesPerToken"], facts["contextLength"]
    sizes = [shown_bytes(facts["weightBytes"]), shown_bytes(facts["heldBytes"]), f"{per_token / 1024:.0f} KiB"]
    full = f"{shown_bytes(per_token * context)} ({context} tokens)"
    return f"| {' | '.join([name, *sizes, full, shown_bytes(facts['memoryBytes'])])} |"


def table() -> str:
    return "\n".join([*HEAD, *rows()])


if __name__ == "__main__":
    print(table())
