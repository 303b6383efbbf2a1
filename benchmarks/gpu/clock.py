"""Times on a device. A call only queues work on a GPU; what counts is when the device has done it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from latency.summary import median

Call = Callable[[], object]
WARM = 3  # calls of each, at most, before any is timed: compiling, choosing, allocating


def settle(device: torch.device) -> None:
    """Waits until the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(calls: Sequence[Call], device: torch.device, rounds: int) -> float:
    """Of one of these calls, when the device does them one after the other: the median of so many rounds.

    On a GPU a round is one CUDA graph, so that what Python takes to launch small kernels doesn't count, as it doesn't
    in a captured step. Calls that work on different data keep the caches from hiding the memory.
    """
    for call in [*calls] * min(WARM, rounds):
        call()
    settle(device)
    play = _captured(calls) if device.type == "cuda" else lambda: [call() for call in calls]
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        play()
        settle(device)
        times.append(time.perf_counter() - began)
    return median(times) / len(calls)


def _captured(calls: Sequence[Call]) -> Call:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    return graph.replay


class Deadline:
    """A run that is cut off tells nothing of what it hadn't come to: rather leave that out, and say so."""

    def __init__(self, minutes: float) -> None:
        self.began = time.monotonic()
        self._end = self.began + 60 * minutes

    @property
    def passed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._end
