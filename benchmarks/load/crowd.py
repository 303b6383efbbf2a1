"""Many editors in one process, each with an assistant and connections of its own."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from load.editor import Editor, Sample
from starfill.app.backend import LocalBackend
from starfill.assist.completion.assistant import Assistant
from starfill.config.settings import Settings

TICK = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class Crowd:
    """What the editors of a process have seen. cpu: seconds that they took themselves.

    lags: milliseconds by which their event loop was late: what the simulation itself adds to a request.
    """

    samples: list[Sample]
    cpu: float
    lags: list[float]


def play(numbers: Sequence[int], settings: Settings, seconds: float, think: float, start: float) -> Crowd:
    """Runs in a process of its own. start: when all begin, as `time.time` has it."""
    with ExitStack() as opened:
        assistants = []
        for _ in numbers:
            assistant = LocalBackend().load(settings)
            assert isinstance(assistant, Assistant)
            opened.callback(assistant.close)
            assistants.append(assistant)
        time.sleep(max(0.0, start - time.time()))
        before = _cpu()
        samples, lags = asyncio.run(_play(numbers, assistants, seconds, think))
        return Crowd(samples, _cpu() - before, lags)


async def _play(
    numbers: Sequence[int], assistants: Sequence[Assistant], seconds: float, think: float
) -> tuple[list[Sample], list[float]]:
    began = time.perf_counter()
    editors = [Editor(number, each, think, began) for number, each in zip(numbers, assistants, strict=True)]
    lags: list[float] = []
    watching = asyncio.create_task(_watch(lags))
    await asyncio.gather(*(editor.type(lambda: time.perf_counter() - began > seconds) for editor in editors))
    watching.cancel()
    return [sample for editor in editors for sample in editor.samples], lags


async def _watch(lags: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(TICK)
        lags.append((time.perf_counter() - before - TICK) * 1e3)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
