"""`complete` and `doctor` with random checkpoints of other families than the bundled model's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from checkpoints.layout import Layout
from checkpoints.random_checkpoint import named, write_published
from checkpoints.shapes import Llama
from starfill.cli.main import main

SHAPE = Llama(2, 64, 128, 4, 2, 1024, 512)
INFILLING = {"▁<PRE>": 1007, "▁<SUF>": 1008, "▁<MID>": 1009, "▁<EOT>": 1010}
SPECIAL = {
    "CodeLlama-7B": INFILLING,
    "CodeLlama-70B-Instruct": {**INFILLING, "<step>": 1015},
    "WizardCoder-Python": {"[PAD]": 1023},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, special in SPECIAL.items():
        write_published(folder / name, replace(named(SHAPE, Layout(4, 32, desc_act=True)), special=special))
    (folder / "a.py").write_text("import os\n\n\ndef f(value):\n    return os.\n\n\nprint(f(1))\n")
    return folder


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


CASES = [
    ("CodeLlama-7B", "auto", "anchored-psm"),
    ("CodeLlama-7B", "spm", "spm"),
    ("CodeLlama-7B", "prefix", "prefix"),
    ("CodeLlama-70B-Instruct", "auto", "prefix"),
    ("WizardCoder-Python", "auto", "prefix"),
]


@pytest.mark.parametrize(("model", "layout", "used"), CASES)
def test_complete(models: Path, model: str, layout: str, used: str) -> None:
    result = run("complete", "--json", "--model", models / model, "--layout", layout, f"{models}/a.py:5:15")
    assert result.exit_code in (0, 1), result.output  # a random model may have nothing to say
    answer = json.loads(result.stdout)
    assert answer["layout"] == used and answer["promptTokens"] > 10 and answer["generatedTokens"] > 0


def test_a_layout_that_the_family_does_not_know_is_refused(models: Path) -> None:
    result = run("complete", "--model", models / "WizardCoder-Python", "--layout", "psm", f"{models}/a.py:5:15")
    assert result.exit_code == 2 and result.stdout == ""
    assert 'family wizardcoder-python know only "prefix"' in result.stderr


def test_a_family_can_be_chosen(models: Path) -> None:
    chosen = run("complete", "--json", "--model", models / "CodeLlama-7B", "--family", "llama", f"{models}/a.py:5:15")
    assert json.loads(chosen.stdout)["layout"] == "prefix"
    wrong = run("complete", "--model", models / "CodeLlama-7B", "--family", "starcoder", f"{models}/a.py:5:15")
    assert wrong.exit_code == 2 and "no special token <fim_prefix> or" in wrong.stderr


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("CodeLlama-7B", ["codellama", "▁<MID> = 1009", "fill-in-the-middle "]),
        ("WizardCoder-Python", ["wizardcoder-python", "can't fill in the middle", "completion "]),
    ],
)
def test_doctor(models: Path, model: str, words: list[str]) -> None:
    shown = run("doctor", "--model", models / model).stdout
    assert all(word in shown for word in (*words, "after one more character", "warm answer = cold answer")), shown
