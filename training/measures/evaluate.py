"""`make evaluate-bundled`: what the bundled model can do, measured through Starfill's own engine and prompts.

On the packages that training never saw: bits per byte (beside the unquantized model and rounding to nearest), the rest
of a line at random cursors and rewrites asked for in words; on HumanEval's single-line infilling (--humaneval) pass@1,
which runs the model's code in the sandbox of `starfill eval`. Prints a table, writes evaluation.json to the build
folder, and the table into a model card (--card).
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from measures import answers
from measures.bits import bits_per_byte
from starfill.cli.options import opened, settings_from
from starfill.cli.sampling import bar, generation_bar
from starfill.cli.scoring import judged
from starfill.config.choices import Layout
from starfill.errors import StarfillError
from starfill.evaluation import benchmarks
from starfill.evaluation.ask import AnsweringModel, Asker
from starfill.evaluation.cursors import random_cursors, read_sources
from starfill.evaluation.jsonl import Output, Record
from starfill.evaluation.problems import read_problems, with_suffix
from starfill.evaluation.sandbox.run import check_available
from starfill.evaluation.score import Line, joined, likenesses
from starfill.evaluation.work import Item, produce
from starfill.jobs import Sampling
from starfill.quantize.calibration import CalibrationSample
from starfill.quantize.make import Request, make

HERE = Path(__file__).parents[1]
BUNDLED = HERE.parent / "server" / "starfill" / "bundled"
BEGIN, END = "<!-- figures: made by `make evaluate-bundled` -->", "<!-- end of figures -->"
# Each layout with token healing and without; in plain PSM the prompt ends with a sentinel, so there is nothing to heal.
ROWS = (
    (Layout.SPM, True),
    (Layout.SPM, False),
    (Layout.ANCHORED_PSM, True),
    (Layout.ANCHORED_PSM, False),
    (Layout.PSM, True),
)
Items = Callable[[AnsweringModel, Layout, bool], list[Item]]


class Run:
    """One opened model, and where its samples are kept: an interrupted run goes on where it stopped."""

    def __init__(self, model: AnsweringModel, folder: Path) -> None:
        self.model, self.folder = model, folder
        self.asker = Asker(model, Sampling(), batch=1)

    def records(self, name: str, items: Sequence[Item]) -> list[Record]:
        print(f"{name}: {len(items)} prompts", flush=True)
        with Output(self.folder / f"{name}.jsonl") as output, generation_bar() as report:
            return produce(items, 1, self.asker, output, report)

    def by_layout(self, name: str, items: Items) -> list[Record]:
        return self.records(name, [item for layout, healed in ROWS for item in items(self.model, layout, healed)])


def rest_of_line(run: Run, args: argparse.Namespace) -> list[Line]:
    cursors = random_cursors(read_sources(args.build / "held_out.jsonl"), args.cases, args.seed)

    def items(model: AnsweringModel, layout: Layout, healed: bool) -> list[Item]:
        return benchmarks.rests_of_lines(model, cursors, [layout], healed)

    return likenesses(run.by_layout("rest-of-line", items))


def infilling(run: Run, args: argparse.Namespace) -> list[Line]:
    data = args.humaneval
    file = next(data.glob("HumanEval-SingleLineInfilling.jsonl*"), data) if data.is_dir() else data
    problems = with_suffix(read_problems(file), file)
    problems = Random(args.seed).sample(problems, min(args.problems, len(problems)))

    def items(model: AnsweringModel, layout: Layout, healed: bool) -> list[Item]:
        return benchmarks.infilling(model, problems, [layout], healed)

    check_available()
    records = run.by_layout("infilling", items)
    limits: dict[str, Any] = {"ks": "1", "workers": args.workers, "timeout": 3, "results": None}
    return joined(likenesses(records), judged([("", r) for r in records], problems, "infilling", **limits))


def instructions(run: Run, args: argparse.Namespace) -> list[Line]:
    examples = answers.first_of_each_task(args.build / "instructions_held_out.jsonl", args.examples)
    return answers.figures(run.records("instructions", answers.items(run.model, examples)))


def bits(args: argparse.Namespace) -> list[Line]:
    """Of the model as it ships, of the one it was made of, and of that one rounded to nearest."""
    sources = read_sources(args.build / "held_out.jsonl")
    chosen = Random(args.seed).sample(sources, min(args.files, len(sources)))
    lines = []
    with TemporaryDirectory() as folder:
        models = {"as shipped": args.model}
        if args.unquantized.exists():
            models |= {"unquantized": args.unquantized, "rounded to nearest": Path(folder) / "rtn"}
            sample = CalibrationSample(1, 256)
            make(Request(args.unquantized, models["rounded to nearest"], sample=sample, backend="rtn"))
        else:
            print(f"{args.unquantized} isn't there: bits per byte of the model as it ships only")
        for name, model in models.items():
            with bar(f"bits per byte, {name}") as update:
                value = bits_per_byte(model, chosen, lambda done, total: update(done, total, ""))
            lines.append(Line(name, len(chosen), len(chosen), {"bits per byte": value}))
    return lines


def table(title: str, counted: str, lines: Sequence[Line]) -> str:
    """A table in Markdown; shares as percentages, bits as they are."""
    columns = list(dict.fromkeys(name for line in lines for name in line.shares))

    def cell(name: str, value: float | None) -> str:
        return "" if value is None else f"{value:.3f}" if name == "bits per byte" else f"{100 * value:.1f} %"

    rows = [[title, counted, *columns], ["---"] * (2 + len(columns))]
    rows += [[line.row, str(line.problems), *(cell(c, line.shares.get(c)) for c in columns)] for line in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def in_card(card: str, figures: str) -> str:
    """The card with the figures between its two marks."""
    head, begin, rest = card.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"the model card has no place for the figures: write {BEGIN} and {END} into it")
    return f"{head}{BEGIN}\n\n{figures}\n{END}{tail}"


def evaluate(args: argparse.Namespace) -> None:
    started = time.monotonic()
    parts: dict[str, tuple[str, list[Line]]] = {"WeightMemory-out files": ("files", bits(args))}
    with ExitStack() as stack:
        samples = args.samples or Path(stack.enter_context(TemporaryDirectory()))
        samples.mkdir(parents=True, exist_ok=True)
        run = Run(stack.enter_context(opened(settings_from(model=str(args.model)))), samples)
        parts["Rest of a line, held-out files"] = ("cursors", rest_of_line(run, args))
        if args.humaneval:
            parts["HumanEval, a line"] = ("problems", infilling(run, args))
        else:
            print("HumanEval left out: give DATA=FOLDER (or --humaneval) with HumanEval-SingleLineInfilling.jsonl.gz,")
            print("which OpenAI's human-eval-infilling repository on GitHub has in its folder data")
        parts["Instructions, held-out files"] = ("examples", instructions(run, args))
    figures = "\n".join(table(title, counted, lines) for title, (counted, lines) in parts.items())
    print(figures)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")
    facts = {"model": str(args.model), "machine": platform.processor() or platform.machine(), "seed": args.seed}
    report = {title: [line.as_json() for line in lines] for title, (_, lines) in parts.items()}
    (args.build / "evaluation.json").write_text(json.dumps(facts | report, indent=1) + "\n", encoding="utf-8")
    if args.card:
        args.card.write_text(in_card(args.card.read_text(encoding="utf-8"), figures), encoding="utf-8")
        print(f"written into {args.card}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Evaluate the bundled model.")
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--model", type=Path, default=BUNDLED / "model")
    parser.add_argument("--unquantized", type=Path, default=HERE / "build" / "run" / "model")
    parser.add_argument("--humaneval", type=Path, help="HumanEval-SingleLineInfilling.jsonl.gz, or the folder it is in")
    parser.add_argument("--card", type=Path, help="write the figures into this model card")
    parser.add_argument("--samples", type=Path, help="keep what the model wrote here; a second run goes on")
    parser.add_argument("--files", type=int, default=15, help="held-out files for bits per byte")
    parser.add_argument("--cases", type=int, default=200, help="cursors, for each layout")
    parser.add_argument("--problems", type=int, default=200, help="of HumanEval, for each layout")
    parser.add_argument("--examples", type=int, default=8, help="instructions of each task")
    parser.add_argument("--workers", type=int, default=2, help="samples that are run at a time")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name in ("held_out", "instructions_held_out"):
        if not (args.build / f"{name}.jsonl").exists():
            parser.error(f"{args.build / name}.jsonl isn't there: `make -C training build/{name}.jsonl` makes it")
    try:
        evaluate(args)
    except StarfillError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
