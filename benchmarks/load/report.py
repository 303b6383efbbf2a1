"""What a crowd of editors has seen, in figures and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from latency.summary import quantile
from load.crowd import Crowd
from load.editor import ANSWERED, FAILED, TYPED_ON, UNANSWERED, Sample, calm

OUTCOMES = (ANSWERED, TYPED_ON, FAILED, UNANSWERED)


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to the engine, from when to when: seconds since the beginning."""

    name: str
    began: float
    over: float


def figures(crowds: Sequence[Crowd], seconds: float, fault: Fault | None) -> dict[str, Any]:
    """Milliseconds, and shares of 1. "calm": of requests after which nobody typed for a while; see `editor.calm`."""
    samples = [sample for crowd in crowds for sample in crowd.samples]
    counts = Counter(sample.outcome for sample in samples)
    heard = [sample for sample in samples if sample.prompt]
    lags = [lag for crowd in crowds for lag in crowd.lags]
    found: dict[str, Any] = {
        "asked": len(samples),
        "asked_a_second": round(len(samples) / seconds, 1),
        **{name.replace(" ", "_"): counts[name] for name in OUTCOMES},
        "reused": sum(sample.source == "reuse" for sample in samples),
        "first_ms": _quantiles([sample.first_ms for sample in samples]),
        "calm": len(calm(samples)),
        "calm_first_ms": _quantiles([sample.first_ms for sample in _done(calm(samples))]),
        "calm_whole_ms": _quantiles([sample.whole_ms for sample in _done(calm(samples))]),
        "cached_share": round(sum(each.cached for each in heard) / max(1, sum(each.prompt for each in heard)), 4),
        "cached_below_half": round(sum(2 * each.cached < each.prompt for each in heard) / max(1, len(heard)), 4),
        "editors_cores": round(sum(crowd.cpu for crowd in crowds) / seconds, 2),
        "editors_late_ms": _quantiles(lags),
        "reasons": Counter(sample.reason for sample in samples if sample.outcome == FAILED),
    }
    return found | (_after(samples, fault) if fault is not None else {})


def _done(samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.whole_ms is not None]


def _after(samples: Sequence[Sample], fault: Fault) -> dict[str, Any]:
    """failed_until, answered_from: seconds after the engine was there again."""
    failed = [sample.at - fault.over for sample in samples if sample.outcome == FAILED]
    answered = [sample.at - fault.over for sample in samples if sample.first_ms is not None and sample.at > fault.over]
    return {
        "fault": fault.name,
        "away_s": round(fault.over - fault.began, 1),
        "failed_until_s": round(max(failed), 2) if failed else None,
        "answered_from_s": round(min(answered), 2) if answered else None,
        "answered_after": len(answered),
    }


def _quantiles(values: Sequence[float | None]) -> list[float] | None:
    """The median and the 95th percentile."""
    known = [value for value in values if value is not None]
    return [round(quantile(known, share), 1) for share in (0.5, 0.95)] if known else None


def show(found: dict[str, Any], console: Console) -> None:
    table = Table(title=f"{found['editors']} editors over {found['engine']}")
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in found.items():
        if name not in ("editors", "engine", "reasons") and value is not None:
            table.add_row(
                name.replace("_", " "), " / ".join(map(str, value)) if isinstance(value, list) else str(value)
            )
    for reason, count in found["reasons"].items():
        table.add_row(str(reason), str(count))
    console.print(table)
