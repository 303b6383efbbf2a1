"""Figures from samples, bars, and how a run is shown."""

import json

import pytest
from rich.console import Console

from latency.bars import Bar, bars
from latency.replay import Sample
from latency.report import Run, WeightMemory, plot, show
from latency.summary import Row, by_length, decode_rate, in_both, quantile


def sample(peer, first, whole, **values):
    usual = {
        "trace": "growing",
        "source": "model",
        "prefill_ms": None,
        "round": 0,
        "place": 0,
        "kind": "character",
        "prompt": 100,
        "computed": 1,
        "generated": 5,
        "steps": 4,
    }
    return Sample(peer=peer, first_ms=first, whole_ms=whole, **usual | values)


def growing(peer, firsts):
    return [sample(peer, first, first + 10, round=i, prompt=length) for i, (length, first) in enumerate(firsts.items())]


def test_quantiles():
    assert [quantile([3, 1, 2], share) for share in (0, 0.5, 0.95, 1)] == [1, 2, 3, 3]


def test_a_row():
    row = Row.of([sample("a", 1.0, 2.0), sample("a", 3.0, 9.0, computed=4), sample("a", 2.0, 4.0)])
    assert row == Row(3, 2.0, 3.0, None, 4.0, 9.0, 1, 4)
    assert Row.of([sample("a", 3.0, 9.0, prefill_ms=2.5), sample("a", 3.0, 9.0)]).outside_p50 == 0.5


def test_by_length_takes_warm_keystrokes_that_asked_the_model():
    kept = sample("a", 1, 2, prompt=7), sample("a", 1, 2, prompt=8, kind="bracket")
    left_out = sample("a", 1, 2, kind="grow"), sample("a", 1, 2, source="reuse", prompt=0), sample("b", 1, 2)
    assert by_length([*kept, *left_out], "a") == {8: list(kept)}


def test_systems_are_compared_on_what_both_computed():
    ours = [sample("a", 1, place=i, whole=i, trace="mixed") for i in range(4)]
    theirs = [sample("b", 1, place=i, whole=i, trace="mixed", source="reuse" if i == 2 else "model") for i in (1, 2, 3)]
    assert [[each.place for each in side] for side in in_both(ours + theirs, "mixed", "a", "b")] == [[1, 3], [1, 3]]


@pytest.mark.parametrize(
    ("steps", "rate"), [((4,), 400.0), ((4, 2), 400.0), ((2,), None), ((), None)], ids=["one", "long", "short", "none"]
)
def test_decode_is_counted_in_passes_and_only_where_there_are_some(steps, rate):
    assert decode_rate([sample("a", 5.0, 15.0, steps=each) for each in steps]) == rate


@pytest.mark.parametrize(
    ("bar", "reached"),
    [
        (Bar("x", 5.0, 5.0), True),
        (Bar("x", 4.9, 5.0), False),
        (Bar("x", 1.5, 1.5, most=True), True),
        (Bar("x", 1.6, 1.5, most=True), False),
    ],
)
def test_a_bar(bar, reached):
    assert bar.reached is reached


def test_the_bars_of_a_whole_run():
    samples = growing("starfill", {500: 20.0, 4100: 24.0, 7900: 40.0})
    samples += growing("llama.cpp", {500: 90.0, 4100: 240.0, 7900: 500.0}) + growing("transformers", {4100: 2400.0})
    for peer, whole, rate in (("starfill", 100.0, 90.0), ("llama.cpp", 250.0, 100.0)):
        samples.append(sample(peer, 50.0, whole, trace="mixed"))
        samples.append(sample(peer, 1e6 / rate, 1e5, trace="cold", prompt=2000, computed=1000))
        samples.append(sample(peer, 1.0, 1e5, trace="cold", prompt=500, computed=500))  # too short to count
    found = {bar.name: (round(bar.value, 2), bar.reached) for bar in bars(samples, {"starfill": 0.5})}
    assert found == {
        "warm keystroke at 4100 tokens, llama.cpp / starfill": (10.0, True),
        "warm keystroke at 4100 tokens, transformers / starfill": (100.0, True),
        "warm keystroke, slowest / fastest of 500 to 7900 tokens": (2.0, False),
        "whole suggestion in the mixed trace, llama.cpp / starfill": (2.5, True),
        "decode at 500 tokens, starfill / llama.cpp": (1.0, True),
        "decode, share of the memory's bandwidth": (0.5, False),
        "cold prefill of more than 1000 tokens, starfill / llama.cpp": (0.9, True),
    }


@pytest.mark.parametrize("peers", [("starfill",), ("llama.cpp",), ()])
def test_a_run_of_fewer_systems_has_fewer_bars(peers):
    assert len(bars([each for peer in peers for each in growing(peer, {500: 1.0})], {})) == 0


@pytest.fixture
def run():
    samples = [*growing("a", {500: 10.0, 900: 20.0}), sample("a", 100.0, 120.0, trace="cold", prompt=300, computed=300)]
    return Run("m", 2.0, True, {"a": WeightMemory(1_000_000, 1000)}, samples, {("growing", "a"): 5_000_000})


def test_decode_reads_weights_and_state(run):
    assert next(iter(run.rates())) == {"peer": "a", "prompt": 500, "tokens_s": 400.0, "gb_s": 0.6, "share": 0.3}


def test_a_run_becomes_json_and_tables(run):
    again = json.loads(json.dumps(run.as_json(), allow_nan=False))
    assert [row["first_p50"] for row in again["keystrokes"]] == [10.0, 20.0]
    assert again["prefill"] == [{"peer": "a", "prompt": 300, "tokens_s": 3000.0}]
    assert len(again["samples"]) == 3
    console = Console(record=True, width=120, quiet=False, file=None)
    with console.capture() as shown:
        show(run, console)
    assert "400.0" in shown.get() and "3000" in shown.get()


def test_a_run_without_any_sample_shows_nothing(run):
    run.samples, run.peaks = [], {}
    console = Console()
    with console.capture() as shown:
        show(run, console)
    assert shown.get() == ""


def test_a_plot_has_a_panel_for_each_model(run, tmp_path):
    pytest.importorskip("matplotlib")
    plot([run, run], tmp_path / "two.png")
    plot([], tmp_path / "none.png")
    assert (tmp_path / "two.png").stat().st_size > 10_000
    assert not (tmp_path / "none.png").exists()
