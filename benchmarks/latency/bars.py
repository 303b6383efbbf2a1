"""The bars of "the keystroke costs only what it added", and whether a run reaches them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latency.replay import Sample
from latency.summary import asked, by_length, decode_rate, in_both, median, prefill_rate

OURS, LLAMA, INFILL, TRANSFORMERS = "starfill", "llama.cpp", "llama.cpp infill", "transformers"
CONTEXT = 4000  # tokens, at which systems are compared
LONG = 1000  # a cold prompt that counts for prefill is longer


@dataclass(frozen=True, slots=True)
class Bar:
    """value against wanted: at least, or at most where `most` is set."""

    name: str
    value: float
    wanted: float
    most: bool = False

    @property
    def reached(self) -> bool:
        return self.value <= self.wanted if self.most else self.value >= self.wanted

    def as_json(self) -> dict[str, Any]:
        relation = "at most" if self.most else "at least"
        return {"bar": self.name, "value": round(self.value, 2), relation: self.wanted, "reached": self.reached}


def bars(samples: Sequence[Sample], shares: Mapping[str, float]) -> list[Bar]:
    """Those for which the run has figures. shares: of the memory's bandwidth, that decode reaches, by system."""
    return [*_keystrokes(samples), *_suggestions(samples), *_rates(samples, shares)]


def _keystrokes(samples: Sequence[Sample]) -> Iterator[Bar]:
    ours = _firsts(samples, OURS)
    if not ours:
        return
    for peer, wanted in ((LLAMA, 5.0), (INFILL, 5.0), (TRANSFORMERS, 20.0)):
        theirs = _firsts(samples, peer)
        if theirs:
            at = min(theirs, key=lambda length: abs(length - CONTEXT))
            here = min(ours, key=lambda length: abs(length - at))
            yield Bar(f"warm keystroke at {at} tokens, {peer} / {OURS}", theirs[at] / ours[here], wanted)
    if len(ours) > 1:
        name = f"warm keystroke, slowest / fastest of {min(ours)} to {max(ours)} tokens"
        yield Bar(name, max(ours.values()) / min(ours.values()), 1.5, most=True)


def _firsts(samples: Sequence[Sample], peer: str) -> dict[int, float]:
    return {length: median(each.first_ms for each in group) for length, group in by_length(samples, peer).items()}


def _suggestions(samples: Sequence[Sample]) -> Iterator[Bar]:
    ours, theirs = in_both(samples, "mixed", OURS, LLAMA)
    if ours:
        ratio = median(each.whole_ms for each in theirs) / median(each.whole_ms for each in ours)
        yield Bar(f"whole suggestion in the mixed trace, {LLAMA} / {OURS}", ratio, 2.0)


def _rates(samples: Sequence[Sample], shares: Mapping[str, float]) -> Iterator[Bar]:
    ours, theirs = (by_length(samples, peer) for peer in (OURS, LLAMA))
    rates = [decode_rate(groups[min(groups)]) for groups in (ours, theirs) if groups]
    if len(rates) == 2 and rates[0] and rates[1]:
        yield Bar(f"decode at {min(ours)} tokens, {OURS} / {LLAMA}", rates[0] / rates[1], 1.0)
    if OURS in shares:
        yield Bar("decode, share of the memory's bandwidth", shares[OURS], 0.6)
    ours_cold, theirs_cold = (_long(asked(samples, "cold", peer)) for peer in (OURS, LLAMA))
    if ours_cold and theirs_cold:
        ratio = prefill_rate(ours_cold) / prefill_rate(theirs_cold)
        yield Bar(f"cold prefill of more than {LONG} tokens, {OURS} / {LLAMA}", ratio, 0.8)


def _long(samples: Sequence[Sample]) -> list[Sample]:
    return [each for each in samples if each.prompt > LONG]
