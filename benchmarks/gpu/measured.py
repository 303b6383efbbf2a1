"""What one model comes to: the figures, which of them there are bars for, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console

from gpu.ceilings import Ceilings
from latency.bars import Bar
from latency.report import table

BESIDE = 1.5  # GB of peak memory that weights and KV state don't explain


@dataclass(frozen=True, slots=True)
class Decode:
    """Passes of one token of each row. share: of the bandwidth, that reading weights and KV states takes of it."""

    context: int
    rows: int
    pass_ms: float
    tokens_s: float
    share: float


@dataclass(frozen=True, slots=True)
class Prefill:
    """A cold prompt, to its first token. share: of the matrix rate."""

    tokens: int
    first_ms: float
    share: float


@dataclass(frozen=True, slots=True)
class Keystrokes:
    """To the first token, of a prompt that is computed but for its end. computed: tokens of it, median."""

    context: int
    p50_ms: float
    p95_ms: float
    computed: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, with one document of the longest prompt. peak: what torch took of the device, CUDA graphs among it."""

    weights: int
    kv: int
    peak: int

    @property
    def beside(self) -> float:
        """GB."""
        return (self.peak - self.weights - self.kv) / 1e9


@dataclass(slots=True)
class Measured:
    """layers: what was measured of `of`; see `whole`. read: bytes of weights that a pass reads.

    engine: tokens a second of a whole answer, by candidates. failed: what couldn't be measured, and why. seconds: that
    each measurement took.
    """

    name: str
    layout: str
    layers: int
    of: int
    read: int
    decode: list[Decode] = field(default_factory=list)
    prefill: list[Prefill] = field(default_factory=list)
    keystrokes: list[Keystrokes] = field(default_factory=list)
    engine: dict[int, float] = field(default_factory=dict)
    memory: Memory | None = None
    failed: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Else times are those of the layers that were measured, and the head's."""
        return self.layers == self.of

    def extrapolated(self, figure: Decode) -> float:
        """Tokens a second of all layers, as if each took as long as these, and the head as often: too few."""
        return figure.tokens_s * self.layers / self.of

    def as_json(self) -> dict[str, Any]:
        return {name: rounded(value) for name, value in asdict(self).items()}


def bars(measured: Measured, theirs: float | None) -> Iterator[Bar]:
    """theirs: tokens a second of transformers."""
    single = [each for each in measured.decode if each.rows == 1]
    if single:
        yield Bar(f"decode at {single[0].context} tokens, share of the bandwidth", single[0].share, 0.6)
    if measured.keystrokes:
        last = measured.keystrokes[-1]
        yield Bar(f"warm keystroke at {last.context} tokens, ms (median)", last.p50_ms, 10.0, most=True)
    if measured.prefill:
        longest = measured.prefill[-1]
        yield Bar(f"cold prompt of {longest.tokens} tokens, ms", longest.first_ms, 400.0, most=True)
    if theirs and measured.engine.get(1):
        yield Bar("decode, starfill / transformers", measured.engine[1] / theirs, 5.0)
    if measured.memory:
        yield Bar("peak memory beside weights and KV state, GB", measured.memory.beside, BESIDE, most=True)


def show(measured: Measured, ceilings: Ceilings, console: Console) -> None:
    """What wasn't measured has no table."""
    name, read = measured.name, measured.read
    console.print(
        f"{name}, {measured.layout}: a pass reads {read / 1e9:.2f} GB of weights, so the memory allows"
        f" {ceilings.decode(read, 0):.0f} passes a second"
    )
    if not measured.whole:
        name += f" ({measured.layers} of {measured.of} layers)"
        console.print(
            f"Only {measured.layers} of {measured.of} layers fit: times are those of as many, without the rest"
        )
    title = f"{name}: decode"
    columns = ["rows", "ms a pass", "tokens/s", "share of the bandwidth"]
    decode = [
        [str(each.context), str(each.rows), f"{each.pass_ms:.2f}", f"{each.tokens_s:.1f}", f"{each.share:.0%}"]
        for each in measured.decode
    ]
    if not measured.whole:
        columns.append("tokens/s of all layers, extrapolated")
        for row, each in zip(decode, measured.decode, strict=True):
            row.append(f"{measured.extrapolated(each):.1f}")
    table(console, title, columns, decode, first="context")
    answers = [(str(count), f"{rate:.1f}") for count, rate in measured.engine.items()]
    table(console, f"{name}: answers as jobs get them", ["tokens/s"], answers, first="candidates")
    prefill = [
        [str(each.tokens), f"{each.first_ms:.1f}", f"{each.tokens / each.first_ms * 1e3:.0f}", f"{each.share:.0%}"]
        for each in measured.prefill
    ]
    columns = ["first token, ms", "tokens/s", "share of the matrix rate"]
    table(console, f"{name}: a cold prompt", columns, prefill, first="tokens")
    keys = [
        (str(each.context), f"{each.p50_ms:.2f}", f"{each.p95_ms:.2f}", f"{each.computed:g}")
        for each in measured.keystrokes
    ]
    columns = ["first token p50, ms", "p95", "tokens computed"]
    table(console, f"{name}: a warm keystroke", columns, keys, first="context")
    if (memory := measured.memory) is not None:
        gigabytes = [f"{size / 1e9:.2f}" for size in (memory.weights, memory.kv, memory.peak)]
        columns = ["weights, GB", "KV state", "peak", "beside"]
        row = [name, *gigabytes, f"{memory.beside:.2f}"]
        table(console, f"{name}: memory of the device", columns, [row], first="model")
    for failed in measured.failed:
        console.print(f"{name}: {failed}")


def rounded(value: Any) -> Any:
    """For JSON: figures with as many digits as mean something."""
    if isinstance(value, dict):
        return {str(key): rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
