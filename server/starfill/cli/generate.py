"""`starfill generate`: answers to a file of instructions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from starfill.cli.sampling import produced, sampling_options
from starfill.errors import RequestError


@click.command()
@click.argument("source", metavar="IN.jsonl", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT.jsonl", type=click.Path(path_type=Path))
@click.option("--max-new-tokens", default=1024, show_default=True, type=click.IntRange(1), help="The longest answer.")
@sampling_options
def generate(source: Path, target: Path, max_new_tokens: int, **chosen: Any) -> None:
    """Answer the instructions of IN.jsonl, one JSON object a line, as WizardCoder's repository does.

    \b
    Each line:   {"idx": 11, "Instruction": "Write a Python code to count 1 to 10."}
                 ("instruction" is fine too; "input" is code that it is about)
    is answered: {"idx": 11, "sample": 0, "instruction": "...", "output": "...", "cut_off": false}

    Started again, it goes on after what OUT.jsonl has already.
    """
    from starfill.evaluation.instructions import items, read_instructions

    instructions = read_instructions(source)
    if target.exists() and target.samefile(source):
        raise RequestError(f"{target} is the input: give another file to write the answers to")
    produced(lambda model: items(model, instructions, max_new_tokens), out=target, **chosen)
