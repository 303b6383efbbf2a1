"""What a keystroke costs, in Starfill and in what people use today: the same typing through all of them, by turns.

    python benchmarks/bench.py [--model bundled --model 1b ...] [--peer starfill --peer llama.cpp ...] [--quick]

Three traces for each model: typing in a document that grows (a warm keystroke by the length of the prompt), cold
prompts, and a mixed trace of ten documents. All systems get the same prompts, as tokens, and answer with as many
tokens. llama.cpp is asked in a second way too, as editor plugins do (`/infill`), in the document that grows. Prints
tables; writes JSON and a plot.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import click
import psutil
from rich.console import Console

from latency import machine
from latency.cases import BUILD, CASES, Case, checkpoint, once
from latency.prompts import Prompter
from latency.replay import Limit, play
from latency.report import Run, WeightMemory, plot, show
from peers import dense, gguf_file
from peers.llama_build import program
from peers.llama_server import LlamaServer
from peers.peer import Peer
from peers.starfill_server import StarfillServer
from peers.transformers_generate import TransformersGenerate
from traces.trace import Trace, sources
from traces.trace import cold as cold_trace
from traces.trace import growing as growing_trace
from traces.trace import mixed as mixed_trace

TOKENS = 16  # of a suggestion: a line of code
MIXED_CONTEXT = 2048  # what prompts are limited to where the settings don't say
DOCUMENTS = 10
ROOM = 100  # tokens of the window left free, so that it needn't move
INFILL = "llama.cpp infill"
PEERS = ("starfill", "llama.cpp", INFILL, "transformers")
WIDTH = 110  # of the tables in a file
FITS = 0.4  # of the free memory, which weights in float32 may take; in bfloat16 otherwise


@click.command()
@click.option("--model", "models", type=click.Choice(list(CASES)), multiple=True, help="Default: all.")
@click.option("--peer", "peers", type=click.Choice(PEERS), multiple=True, help="Default: all.")
@click.option("--quick", is_flag=True, help="Only to see that everything runs.")
@click.option("--pauses", default=1.0, show_default=True, help="A person's pauses in the mixed trace, as a factor.")
@click.option("--out", type=click.Path(path_type=Path), default=BUILD / "result", help="Of the .json and .png.")
def main(models: Sequence[str], peers: Sequence[str], quick: bool, pauses: float, out: Path) -> None:
    """Replay typing through Starfill and its peers."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    chosen = [peer for peer in PEERS if peer in (peers or PEERS)]
    began = time.monotonic()
    runs = []
    for name in models or CASES:
        case = CASES[name].shortened() if quick else CASES[name]
        run = measure(case, chosen, 0.0 if quick else pauses, console)
        show(run, console)
        runs.append(run)
        # Written after each model, so that a long run that breaks off has something to show.
        everything = {"machine": machine.described(), "runs": [run.as_json() for run in runs]}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".json").write_text(json.dumps(everything, indent=1), encoding="utf-8")
        plot(runs, out.with_suffix(".png"))
    took = (time.monotonic() - began) / 60
    console.print(f"{took:.0f} minutes; {out.with_suffix('.json')}, {out.with_suffix('.png')}")


def measure(case: Case, names: Sequence[str], pauses: float, console: Console) -> Run:
    folder = checkpoint(case)
    prompter = Prompter(folder, case.context, TOKENS)
    longest = prompter.setup.window - ROOM
    lengths, cold = ([min(each, longest) for each in wanted] for wanted in (case.lengths, case.cold))
    growing = growing_trace(lengths, case.keys, prompter.count)
    parts = [("growing", growing, 0.0), ("cold", cold_trace(cold, prompter.count), 0.0)]
    run = Run(case.name, machine.bandwidth(), case.judged)
    _play(run, case, names, prompter, parts, 1, console)
    if case.asks:
        prompter = Prompter(folder, MIXED_CONTEXT, TOKENS)
        mixed = mixed_trace(sources(DOCUMENTS, case.lines), case.asks)
        others = [name for name in names if name != INFILL]
        _play(run, case, others, prompter, [("mixed", mixed, pauses)], mixed.visited, console)
    return run


def _play(
    run: Run,
    case: Case,
    names: Sequence[str],
    prompter: Prompter,
    parts: Sequence[tuple[str, Trace, float]],
    documents: int,
    console: Console,
) -> None:
    """Traces through fresh processes of the systems."""
    limits = {TransformersGenerate.name: case.slow, INFILL: Limit(longest=case.slow.longest)}
    with started(case, names, prompter.setup.context, documents) as peers:
        for name, trace, pauses in parts:
            console.print(f"{case.name}, {name}: {trace.asks} completions in {len(trace.rounds)} rounds")
            players = [peer for peer in peers if name == "growing" or peer.name != INFILL]
            run.samples += play(name, trace, players, prompter, machine.settle, TOKENS, limits, pauses)
        for peer in peers:
            run.held[peer.name] = WeightMemory(peer.weight_bytes, peer.kv_bytes)
            run.peaks["+".join(name for name, _, _ in parts), peer.name] = machine.peak_bytes(peer.pid)


@contextmanager
def started(case: Case, names: Sequence[str], context: int, documents: int) -> Iterator[list[Peer]]:
    """One process for each system, all of them ready and idle."""
    with ExitStack() as running:
        yield [running.enter_context(closing(_start(case, name, context, documents))) for name in names]


def _start(case: Case, name: str, context: int, documents: int) -> Peer:
    makers: dict[str, Callable[[], Peer]] = {
        "starfill": partial(_starfill, case, context),
        "llama.cpp": partial(_llama, case, context, documents),
        INFILL: partial(_llama, case, context, documents, infill=True),
        "transformers": partial(_transformers, case),
    }
    return makers[name]()


def _starfill(case: Case, context: int) -> Peer:
    return StarfillServer(case.model, case.folder, {"contextTokens": context, "maxNewTokens": TOKENS})


def _llama(case: Case, context: int, documents: int, infill: bool = False) -> Peer:
    quantize = program("llama-quantize")
    file = once(case.other_form("q4_0.gguf"), partial(gguf_file.write_q4_0, case.folder, quantize=quantize))
    return LlamaServer(file, gguf_file.bytes_a_token(file), context, documents, infill)


def _transformers(case: Case) -> Peer:
    folder = once(case.other_form("dense"), partial(dense.write, case.folder))
    in_float32 = 2 * (folder / "model.safetensors").stat().st_size
    fits = in_float32 < FITS * psutil.virtual_memory().available
    return TransformersGenerate(folder, "float32" if fits else "bfloat16")


if __name__ == "__main__":
    main()
