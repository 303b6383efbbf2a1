"""The model card's figures: bits per byte against transformers, what counts as right, the table in the card."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from measures import answers, evaluate
from measures.bits import bits_per_byte
from model import make_config, make_model
from starfill.evaluation.cursors import SourceFile
from starfill.evaluation.score import Line
from tokenizer import encode_text, load
from tokenizer import save as save_tokenizer
from tokenizer import train as train_tokenizer

TEXTS = ["def add(a, b):\n    return a + b\n" * 6, "x = 1\n"]


@pytest.mark.parametrize("positions", [16, 512])
def test_bits_per_byte_is_transformers(positions: int, tmp_path: Path) -> None:
    """In windows of half overlap, or in one when the whole file fits."""
    torch.manual_seed(0)
    model = make_model(make_config(300, 64, 2, 2, positions))
    model.save_pretrained(tmp_path)
    save_tokenizer(train_tokenizer(iter(TEXTS * 9), 300), tmp_path, positions)
    nats = 0.0
    for text in TEXTS:
        ids = torch.tensor([0, *encode_text(load(tmp_path), text)])
        for target in range(1, len(ids)):
            # The first of the windows, which begin every half, that holds the target.
            first = max(0, -(-(target + 1 - positions) // (positions // 2))) * (positions // 2)
            with torch.no_grad():
                logits = model(ids[None, first:target]).logits[0, -1:]
            nats += float(cross_entropy(logits, ids[target : target + 1]))
    expected = nats / math.log(2) / sum(len(text) for text in TEXTS)
    sources = [SourceFile(f"{i}.py", text) for i, text in enumerate(TEXTS)]
    assert bits_per_byte(tmp_path, sources) == pytest.approx(expected, rel=5e-3)  # the engine's linears are bf16


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```python\nx = f('a')  # why\n```", "x = f('a')"),
        ('```python\nx = f(\n    "a",\n)\n```', "x = f('a')"),
        ("```python\nreturn x\n```", "return x"),
        ("```python\nx = (\n```", None),
        ("x = 1", None),
        ("", None),
    ],
)
def test_answers_are_compared_after_formatting(answer: str, code: str | None) -> None:
    assert answers.formatted(answer) == code


def test_figures_by_task_and_of_all_rewrites() -> None:
    def record(task: str, completion: str, expected: str) -> dict[str, str]:
        return {"layout": task, "completion": completion, "expected": expected}

    right, wrong, broken = "```python\nx = 1\n```", "```python\nx = 2\n```", "x"
    lines = answers.figures(
        [
            record("comprehension", right, right),
            record("comprehension", wrong, right),
            record("merge ifs", broken, right),
            record("explain", "Adds two.", "Adds two."),
        ]
    )
    shares = {line.row: line.shares for line in lines}
    assert shares["comprehension"] == pytest.approx({"parses": 1, "equals": 0.5, "edit similarity": 1 - 0.5 / 19})
    assert shares["all rewrites"]["parses"] == pytest.approx(2 / 3)
    assert shares["explain"] == {"edit similarity": 1.0}


def test_the_first_examples_of_each_task(tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    lines = [{"task": task, "instruction": str(i)} for i, task in enumerate("baabb")]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [e["instruction"] for e in answers.first_of_each_task(file, 2)] == ["1", "2", "0", "3"]


def test_the_table_goes_between_the_marks_and_replaces_an_older_one() -> None:
    lines = [Line("spm", 5, 5, {"exact match": 0.123}), Line("shipped", 5, 5, {"bits per byte": 1.23456})]
    table = evaluate.table("Lines", "cursors", lines)
    assert table.splitlines()[2:] == ["| spm | 5 | 12.3 % |  |", "| shipped | 5 |  | 1.235 |"]
    card = f"# Card\n\n{evaluate.BEGIN}\nold\n{evaluate.END}\n\nrest\n"
    made = evaluate.in_card(card, table)
    assert made == f"# Card\n\n{evaluate.BEGIN}\n\n{table}\n{evaluate.END}\n\nrest\n"
    assert evaluate.in_card(made, table) == made
    with pytest.raises(SystemExit, match="no place for the figures"):
        evaluate.in_card("# Card\n", table)


def test_the_bundled_card_has_the_marks() -> None:
    card = (evaluate.BUNDLED / "MODEL_CARD.md").read_text()
    assert card.index(evaluate.BEGIN) < card.index(evaluate.END)
