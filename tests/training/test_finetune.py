"""Anyone's fine-tuning: what is learned of an example, and a tiny model trained, interrupted and resumed."""

import argparse
import json
from pathlib import Path

import pytest
import torch

from model import make_config, make_model
from prompts import Turn, alpaca
from tokenizer import save as save_tokenizer
from tokenizer import train as train_tokenizer

pytest.importorskip("accelerate", reason="the [training] extra isn't installed")

import finetune

LINES = [{"instruction": f"Say {n}", "output": f"{n} it is."} for n in range(20)]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    torch.manual_seed(0)
    make_model(make_config(300, 32, 1, 2, 256)).save_pretrained(folder)
    save_tokenizer(train_tokenizer(iter(["Say it is.\n### Response:\n"] * 20), 300), folder, 256)
    return folder


def options(model: Path, out: Path, **given: object) -> argparse.Namespace:
    data = out.parent / "data.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    usual = {
        "model": model, "data": data, "out": out, "epochs": 1, "max_steps": 8, "batch_size": 4, "device_batch_size": 2,
        "learning_rate": 1e-2, "warmup_steps": 1, "max_length": 2048, "gradient_checkpointing": False, "save_steps": 4,
        "logging_steps": 1, "seed": 0, "resume": False,
    }  # fmt: skip
    return argparse.Namespace(**(usual | given))


def test_only_the_response_is_learned(checkpoint: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    found = finetune.encoded(Turn("Say <|endoftext|>:", "\nit is."), tokenizer, 100)
    assert found is not None
    ids, labels = found
    learned = [i for i, label in zip(ids, labels, strict=True) if label != finetune.IGNORED]
    assert tokenizer.decode(learned) == "\nit is.<|endoftext|>"
    assert ids.count(tokenizer.eos_token_id) == 1
    assert finetune.encoded(Turn("Say:", "\nit is."), tokenizer, 5) is None


def test_a_batch_is_filled_up_with_what_counts_nothing() -> None:
    batch = finetune.collate([{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [8], "labels": [8]}])
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]
    assert batch["input_ids"].shape == (2, 3)


def test_batch_size_counts_all_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finetune.accumulation(512, 16) == 32
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert finetune.accumulation(512, 16) == 4


@pytest.mark.filterwarnings("ignore")
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    finetune.finetune(options(checkpoint, tmp_path / "whole"))
    state = json.loads((tmp_path / "whole" / "trainer_state.json").read_text())
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    (tmp_path / "halves").mkdir()
    (tmp_path / "whole" / "checkpoint-4").rename(tmp_path / "halves" / "checkpoint-4")
    finetune.finetune(options(checkpoint, tmp_path / "halves", resume=True))
    whole, halves = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "halves"))
    for name, tensor in whole.items():
        torch.testing.assert_close(halves[name], tensor)
    from starfill.checkpoint.config import read_config
    from starfill.checkpoint.special import read_special
    from starfill.checkpoint.tokenizer import CheckpointTokenizer

    config = read_config(tmp_path / "halves")
    special = read_special(config.folder, CheckpointTokenizer.from_folder(config.folder, 300))
    assert special.chat_template == alpaca("{{ messages[-1]['content'] }}")


def test_a_quantized_model_is_refused() -> None:
    bundled = Path(__file__).parents[2] / "server" / "starfill" / "bundled" / "model"
    with pytest.raises(SystemExit, match="is quantized: fine-tune the model that it was made of"):
        finetune.open_model(bundled)
