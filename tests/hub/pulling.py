"""The command that pulls a model, run in this process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from starfill.cli.main import main

NAME = "owner/coder-GPTQ"


WEIGHTS = "gptq_model-4bit-32g.safetensors"


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def refused(*args: str) -> str:
    """The sentence of a command that can't do what it was asked for."""
    result = run(*args)
    assert result.exit_code == 2, result.output
    sentence = result.stderr.splitlines()[-1]
    assert sentence.startswith("starfill: ")
    return sentence


def names(path: str) -> set[str]:
    return {file.name for file in Path(path.strip()).iterdir()}


BESIDE = {"config.json": b"{}", "tokenizer.json": b"{}"}
