"""What a keystroke costs: typing replayed in a real file, through the real server process over stdio.

    python benchmarks/typing_latency.py [--model FOLDER] [--lines 300] [--keys 200] [--layout anchored-psm]

In lines spread over the file the rest of the line is deleted and typed again, character by character; after each
character an inline completion is asked for, as an editor does. Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import inspect
import json
import random
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # the language client that the tests use
from lsp.client import Client, replace

URI = "file:///typing_latency.py"
PATIENCE = 600  # seconds; a first prefill of a large model takes a while on a CPU


@dataclass(frozen=True)
class Key:
    """One typed character: milliseconds from sending the change to having the suggestion, and the server's figures."""

    ms: float
    figures: dict[str, Any]
    first: bool  # the first one after the cursor jumped here


def type_lines(client: Client, lines: list[str], keys: int) -> list[Key]:
    places = [i for i, line in enumerate(lines) if len(line.strip()) >= 12]
    random.Random(0).shuffle(places)
    typed: list[Key] = []
    for number in places:
        line = lines[number]
        column = len(line) - len(line.lstrip()) + 3
        client.change(URI, replace((number, column), (number, len(line)), ""))
        for at in range(column, len(line)):
            began = time.perf_counter()
            client.change(URI, replace((number, at), (number, at), line[at]))
            client.answer(client.ask_inline(URI, number, at + 1), PATIENCE)
            ms = (time.perf_counter() - began) * 1e3
            typed.append(Key(ms, client.last(URI), at == column))
            if len(typed) == keys:
                return typed
    return typed


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@click.command()
@click.option("--model", default="bundled", show_default=True)
@click.option("--layout", default="auto", show_default=True)
@click.option("--lines", default=300, show_default=True, help="Lines of the file that is typed in.")
@click.option("--keys", default=200, show_default=True, help="Characters typed.")
def main(model: str, layout: str, lines: int, keys: int) -> None:
    """Replay typing and print what each keystroke cost."""
    source = Path(inspect.__file__).read_text(encoding="utf-8")  # a real file that every Python has
    text = source.splitlines()[400 : 400 + lines]
    began = time.perf_counter()
    command = [sys.executable, "-m", "starfill", "serve", "--stdio"]
    with Client.start(command, options={"model": model, "layout": layout}) as client:
        client.wait_for_state("ready", PATIENCE)
        ready = time.perf_counter() - began
        client.open(URI, "\n".join(text))
        client.answer(client.ask_inline(URI, 0, 0), PATIENCE)
        typed = type_lines(client, text, keys)
        client.shutdown()
    report(typed, client.initialize_seconds, ready, model, lines)


def report(typed: list[Key], initialize: float, ready: float, model: str, lines: int) -> None:
    table = Table(title=f"{model}: typing in a file of {lines} lines")
    for column in ("keystrokes", "count", "p50 ms", "p95 ms", "tokens computed p50", "max", "generated p50"):
        table.add_column(column, justify="left" if column == "keystrokes" else "right")
    summary: dict[str, Any] = {"model": model, "lines": lines, "initialize_s": initialize, "ready_s": ready}
    for name, chosen in (
        ("all", typed),
        ("asking the model, anchor stands", [k for k in typed if k.figures["source"] == "model" and not k.first]),
        ("asking the model, after a jump", [k for k in typed if k.figures["source"] == "model" and k.first]),
        ("typed through", [k for k in typed if k.figures["source"] == "reuse"]),
    ):
        if not chosen:
            continue
        ms = [key.ms for key in chosen]
        computed = [key.figures["computedTokens"] for key in chosen]
        generated = [key.figures["generatedTokens"] for key in chosen]
        row = {
            "count": len(chosen),
            "p50_ms": round(statistics.median(ms), 1),
            "p95_ms": round(quantile(ms, 0.95), 1),
            "computed_p50": statistics.median(computed),
            "computed_max": max(computed),
            "generated_p50": statistics.median(generated),
        }
        summary[name] = row
        table.add_row(name, *(str(value) for value in row.values()))
    console = Console()
    console.print(table)
    console.print(f"initialize answered after {initialize * 1e3:.0f} ms, model ready after {ready:.1f} s")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
