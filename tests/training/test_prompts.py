"""Training's prompts are the server's, to the token."""

import json
from pathlib import Path

import pytest

from prompts import Turn, alpaca, read_turns
from samples import Recipe, Sentinels, instruction_sample
from starfill.assist.instruct.prompt import instruction_ids
from starfill.assist.prompts.detect import detect
from starfill.assist.prompts.family import Identity
from tokenizer import SPECIAL_TOKENS

PROMPT = """Below is an instruction that describes a task. Write a response that appropriately completes the request.

### Instruction:
```python
x = 1
```

Explain.

### Response:"""


class Characters:
    """A tokenizer of one token a character, clear of the special ids; enough of the server's and training's."""

    def encode(self, text: str, start: bool = False) -> list[int]:
        return [ord(c) + 100 for c in text]


def test_the_prompt_to_the_character() -> None:
    assert alpaca("Explain.", "x = 1") == PROMPT


@pytest.mark.parametrize("bundled", [True, False])
@pytest.mark.parametrize("given", ["", "x = 1", "s = '''```'''"])
def test_the_server_sends_what_was_trained(given: str, bundled: bool) -> None:
    """To the bundled model, and to one that finetune.py has made of another."""
    special = {token: i for i, token in enumerate(SPECIAL_TOKENS)}
    template = alpaca("{{ messages[-1]['content'] }}")
    dialect = detect(Identity("gpt_bigcode", special, template, "m", declared="starfill" if bundled else None))
    tokenizer = Characters()
    sent = instruction_ids(tokenizer, dialect, "Explain.", given)  # type: ignore[arg-type]
    trained = instruction_sample(alpaca("Explain.", given), "\nYes.", Recipe(tokenizer.encode))
    assert trained.ids[: len(sent)] == list(sent)
    assert trained.weights == [0.0] * len(sent) + [2.0] * (len(trained.ids) - len(sent))
    assert trained.ids[-1] == Sentinels().eos


def test_read_turns(tmp_path: Path) -> None:
    file = tmp_path / "data.jsonl"
    lines = [{"instruction": "Hi", "output": "Yes."}, {"instruction": "Hi", "input": "x", "output": "y", "task": "z"}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_turns(file) == [Turn(alpaca("Hi"), "\nYes."), Turn(alpaca("Hi", "x"), "\ny")]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "holds no instructions"), ("{}\n", "line 1: expected"), ('{"instruction": "a", "output": 3}\n', "line 1")],
)
def test_bad_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(text)
    with pytest.raises(SystemExit, match=rf"data\.jsonl.*{message}"):
        read_turns(file)
