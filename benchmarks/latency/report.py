"""A run as tables, as JSON and as a plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from latency.bars import Bar, bars
from latency.replay import Sample
from latency.summary import Row, asked, by_length, decode_rate, prefill_rate

ROW = ("count", "first p50", "p95", "outside p50", "whole p50", "p95", "computed p50", "max")


@dataclass(frozen=True, slots=True)
class WeightMemory:
    """Bytes. weights: read for each token. kv: of the state, for each token of context."""

    weights: int
    kv: int


@dataclass(slots=True)
class Run:
    """What one model came to. bandwidth: GB/s. judged: it has bars to reach. peaks: bytes, by trace and system."""

    model: str
    bandwidth: float
    judged: bool
    held: dict[str, WeightMemory] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    peaks: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def peers(self) -> list[str]:
        return list(self.held)

    def rates(self) -> Iterator[dict[str, Any]]:
        """Decode at each length, and the bytes that it read as a share of what the memory gives."""
        for peer, held in self.held.items():
            for length, group in by_length(self.samples, peer).items():
                if (rate := decode_rate(group)) is None:
                    continue
                read = rate * (held.weights + held.kv * length) / 1e9
                yield {"peer": peer, "prompt": length, "tokens_s": rate, "gb_s": read, "share": read / self.bandwidth}

    def prefills(self) -> Iterator[dict[str, Any]]:
        for peer in self.peers:
            for each in asked(self.samples, "cold", peer):
                yield {"peer": peer, "prompt": each.prompt, "tokens_s": prefill_rate([each])}

    def bars(self) -> list[Bar]:
        """Decode's share is that of the shortest context."""
        if not self.judged:
            return []
        shares: dict[str, float] = {}
        for each in self.rates():
            shares.setdefault(each["peer"], each["share"])
        return bars(self.samples, shares)

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "bandwidth_gb_s": round(self.bandwidth, 2),
            "keystrokes": [asdict(row) | {"peer": peer, "prompt": at} for peer, at, row in _keystrokes(self)],
            "mixed": [asdict(row) | {"peer": peer, "kind": kind} for peer, kind, row in _mixed(self)],
            "decode": list(self.rates()),
            "prefill": list(self.prefills()),
            "peak_bytes": [{"trace": trace, "peer": peer, "bytes": size} for (trace, peer), size in self.peaks.items()],
            "bars": [bar.as_json() for bar in self.bars()],
            "samples": [sample.as_json() for sample in self.samples],
        }


def _keystrokes(run: Run) -> Iterator[tuple[str, int, Row]]:
    for peer in run.peers:
        for length, group in by_length(run.samples, peer).items():
            yield peer, length, Row.of(group)


def _mixed(run: Run) -> Iterator[tuple[str, str, Row]]:
    """All, then each kind of event."""
    for peer in run.peers:
        samples = asked(run.samples, "mixed", peer)
        for kind in ("all", *dict.fromkeys(each.kind for each in samples)) if samples else ():
            yield peer, kind, Row.of([each for each in samples if kind in ("all", each.kind)])


def show(run: Run, console: Console) -> None:
    keystrokes = [(peer, str(length), *_cells(row)) for peer, length, row in _keystrokes(run)]
    table(console, f"{run.model}: a warm keystroke by the length of the prompt, ms", ("prompt", *ROW), keystrokes)
    mixed = [(peer, kind, *_cells(row)) for peer, kind, row in _mixed(run)]
    table(console, f"{run.model}: the mixed trace, ms", ("event", *ROW), mixed)
    decode = [
        (each["peer"], str(each["prompt"]), f"{each['tokens_s']:.1f}", f"{each['gb_s']:.1f}", f"{each['share']:.0%}")
        for each in run.rates()
    ]
    title = f"{run.model}: decode (this machine's memory reads {run.bandwidth:.1f} GB/s)"
    table(console, title, ("prompt", "tokens/s", "GB/s", "share"), decode)
    prefill = [(each["peer"], str(each["prompt"]), f"{each['tokens_s']:.0f}") for each in run.prefills()]
    table(console, f"{run.model}: a cold prompt", ("prompt", "tokens/s"), prefill)
    peaks = [(peer, trace, f"{size / 1e6:.0f}") for (trace, peer), size in run.peaks.items()]
    table(console, f"{run.model}: peak memory", ("traces", "MB"), peaks)
    show_bars(console, f"{run.model}: bars", run.bars())


def show_bars(console: Console, title: str, bars: Sequence[Bar]) -> None:
    reached = [
        (
            bar.name,
            f"{bar.value:.2f}",
            f"{'at most' if bar.most else 'at least'} {bar.wanted:g}",
            "yes" if bar.reached else "NO",
        )
        for bar in bars
    ]
    table(console, title, ("value", "wanted", "reached"), reached, first="bar")


def _cells(row: Row) -> tuple[str, ...]:
    return tuple("" if value is None else f"{value:g}" for value in asdict(row).values())


def table(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], first: str = "system"
) -> None:
    """Nothing where there are no rows."""
    if not rows:
        return
    made = Table(title=title)
    made.add_column(first, no_wrap=True)
    for column in columns:
        made.add_column(column, justify="right")
    for row in rows:
        made.add_row(*row)
    console.print(made)


def plot(runs: Sequence[Run], path: Path) -> None:
    """Time to the first token of a warm keystroke against the length of the prompt; a panel for each model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [run for run in runs if any(by_length(run.samples, peer) for peer in run.peers)]
    if not shown:
        return
    figure, panels = pyplot.subplots(1, len(shown), figsize=(5 * len(shown), 4), squeeze=False, layout="constrained")
    for run, panel in zip(shown, panels[0], strict=True):
        for peer, line in _lines(run).items():
            panel.plot(list(line), list(line.values()), marker="o", label=peer)
        panel.set(title=run.model, xlabel="prompt, tokens", ylabel="first token, ms (median)", yscale="log")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _lines(run: Run) -> Mapping[str, Mapping[int, float]]:
    lines: dict[str, dict[int, float]] = {}
    for peer, length, row in _keystrokes(run):
        lines.setdefault(peer, {})[length] = row.first_p50
    return lines
