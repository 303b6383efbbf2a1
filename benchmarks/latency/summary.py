"""From samples to the figures that count. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latency.replay import Sample

WARM = ("character", "bracket", "backspace")  # what only adds or takes away a character


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds, and prompt tokens computed, of completions that asked the model.

    outside: of the time to the first token, what the system doesn't call computing; None where it doesn't say.
    """

    count: int
    first_p50: float
    first_p95: float
    outside_p50: float | None
    whole_p50: float
    whole_p95: float
    computed_p50: float
    computed_max: int

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Row:
        first, whole = [each.first_ms for each in samples], [each.whole_ms for each in samples]
        outside = [each.first_ms - each.prefill_ms for each in samples if each.prefill_ms is not None]
        computed = [each.computed for each in samples]
        return cls(
            count=len(samples),
            first_p50=round(median(first), 1),
            first_p95=round(quantile(first, 0.95), 1),
            outside_p50=round(median(outside), 1) if outside else None,
            whole_p50=round(median(whole), 1),
            whole_p95=round(quantile(whole, 0.95), 1),
            computed_p50=median(computed),
            computed_max=max(computed),
        )


def asked(samples: Iterable[Sample], trace: str, peer: str, kinds: Sequence[str] = ()) -> list[Sample]:
    """What a system computed; kinds: of these kinds of events, if any are given."""
    wanted = [each for each in samples if each.trace == trace and each.peer == peer and each.source != "reuse"]
    return [each for each in wanted if each.kind in kinds] if kinds else wanted


def in_both(samples: Sequence[Sample], trace: str, left: str, right: str) -> tuple[list[Sample], list[Sample]]:
    """The completions of a trace that both systems computed: one that is asked less is compared on those."""
    sides = [{(each.round, each.place): each for each in asked(samples, trace, peer)} for peer in (left, right)]
    common = sorted(sides[0].keys() & sides[1].keys())
    return [sides[0][key] for key in common], [sides[1][key] for key in common]


def by_length(samples: Sequence[Sample], peer: str) -> dict[int, list[Sample]]:
    """Keystrokes in the growing document, by the length of the prompt in tokens (the longest of a round).

    A system that keeps nothing is as slow after a jump, so whatever it was asked counts.
    """
    rounds: dict[int, list[Sample]] = {}
    for each in asked(samples, "growing", peer):
        if each.kind in WARM:
            rounds.setdefault(each.round, []).append(each)
    return {max(each.prompt for each in group): group for group in rounds.values()}


def decode_rate(samples: Iterable[Sample]) -> float | None:
    """Passes of the model a second after the first token: the median of those with at least three, if there are any."""
    rates = [each.steps / (each.whole_ms - each.first_ms) * 1e3 for each in samples if each.steps >= 3]
    return median(rates) if rates else None


def prefill_rate(samples: Iterable[Sample]) -> float:
    """Prompt tokens computed a second, of which the first token is the end."""
    return median(each.computed / each.first_ms * 1e3 for each in samples)
