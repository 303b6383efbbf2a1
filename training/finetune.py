"""Fine-tunes an unquantized checkpoint on instructions, as WizardCoder was: JSONL of {instruction, input?, output}.

`python training/finetune.py --model CHECKPOINT --data FILE.jsonl --out FOLDER`; on several GPUs, or with DeepSpeed or
FSDP, `accelerate launch training/finetune.py ...` after `accelerate config`. Prompts are those that the server sends to
a WizardCoder; the loss is on the response alone. The defaults are StarCoder-15B's hyperparameters on WizardCoder's card
(arXiv 2306.08568). `--resume` goes on after an interruption. What comes out goes through `starfill models quantize`.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from prompts import Turn, alpaca, read_turns
from starfill.checkpoint.config import read_config

IGNORED = -100  # a label that counts nothing in transformers' loss


def encoded(turn: Turn, tokenizer: PreTrainedTokenizerBase, max_length: int) -> tuple[list[int], list[int]] | None:
    """Token ids and labels of one example, with the token that ends a text; None if not all of the response fits.

    Prompt and response are encoded apart, the first with what the tokenizer begins every text with; nothing in either
    becomes a special token.
    """
    options: dict[str, Any] = {"split_special_tokens": True}
    prompt = tokenizer(turn.prompt, **options).input_ids
    if prompt and prompt[-1] == tokenizer.eos_token_id:
        prompt = prompt[:-1]
    response = [*tokenizer(turn.response, add_special_tokens=False, **options).input_ids, tokenizer.eos_token_id]
    if len(prompt) + len(response) > max_length:
        return None
    return [*prompt, *response], [*([IGNORED] * len(prompt)), *response]


class Instructions(Dataset[dict[str, list[int]]]):
    """The examples that fit, encoded; how many didn't is in `too_long`."""

    def __init__(self, turns: Sequence[Turn], tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        found = [encoded(turn, tokenizer, max_length) for turn in turns]
        self.examples = [example for example in found if example is not None]
        self.too_long = len(found) - len(self.examples)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        ids, labels = self.examples[index]
        return {"input_ids": ids, "labels": labels}


def collate(examples: Sequence[dict[str, list[int]]]) -> dict[str, Tensor]:
    """A batch, filled up on the right to its longest example: ids, attention mask and labels, each int64 [B, T]."""
    longest = max(len(e["input_ids"]) for e in examples)

    def padded(rows: Sequence[list[int]], filler: int) -> Tensor:
        return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])

    return {
        "input_ids": padded([e["input_ids"] for e in examples], 0),
        "attention_mask": padded([[1] * len(e["input_ids"]) for e in examples], 0),
        "labels": padded([e["labels"] for e in examples], IGNORED),
    }


def accumulation(batch_size: int, device_batch_size: int) -> int:
    """Steps that gradients are summed over, so that all devices together see `batch_size` examples an update."""
    devices = int(os.environ.get("WORLD_SIZE", 1))  # set by accelerate and torchrun
    return max(1, math.ceil(batch_size / (device_batch_size * devices)))


def open_model(folder: Path) -> Any:
    """The checkpoint's model. Raises SystemExit if it is quantized or no checkpoint."""
    if read_config(folder).quantization is not None:
        raise SystemExit(f"{folder} is quantized: fine-tune the model that it was made of, then quantize the result")
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False).float()


def finetune(args: argparse.Namespace) -> None:
    turns = read_turns(args.data)
    tokenizer = AutoTokenizer.from_pretrained(args.model, trust_remote_code=False)
    model = open_model(args.model)
    limit = getattr(model.config, "max_position_embeddings", None) or getattr(
        model.config, "n_positions", args.max_length
    )
    data = Instructions(turns, tokenizer, min(args.max_length, limit))
    if not len(data):
        raise SystemExit(f"{args.data}: none of the {len(turns)} examples fits into {args.max_length} tokens")
    if data.too_long:
        print(
            f"{data.too_long} of {len(turns)} examples are longer than {min(args.max_length, limit)} tokens: left out"
        )
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable()
        model.config.use_cache = False
    on_gpu = torch.cuda.is_available()
    settings = TrainingArguments(
        output_dir=str(args.out),
        num_train_epochs=args.epochs,
        max_steps=args.max_steps,
        per_device_train_batch_size=args.device_batch_size,
        gradient_accumulation_steps=accumulation(args.batch_size, args.device_batch_size),
        learning_rate=args.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=args.warmup_steps,
        weight_decay=0.0,
        bf16=on_gpu,
        use_cpu=not on_gpu,
        logging_steps=args.logging_steps,
        save_steps=args.save_steps,
        save_total_limit=2,
        seed=args.seed,
        report_to="none",
    )
    trainer = Trainer(model=model, args=settings, train_dataset=data, data_collator=collate)
    last = get_last_checkpoint(str(args.out)) if args.resume and args.out.exists() else None
    trainer.train(resume_from_checkpoint=last)
    trainer.save_model(str(args.out))
    if trainer.is_world_process_zero():
        tokenizer.chat_template = alpaca("{{ messages[-1]['content'] }}")  # tells any program how it wants to be asked
        tokenizer.save_pretrained(args.out)
        trainer.save_state()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Fine-tune a checkpoint on instructions; the defaults are WizardCoder's."
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of an unquantized checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="JSONL of {instruction, input?, output}")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--max-steps", type=int, default=-1, help="updates, in place of --epochs")
    parser.add_argument("--batch-size", type=int, default=512, help="examples an update, over all devices")
    parser.add_argument("--device-batch-size", type=int, default=16, help="examples at once on one device")
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--warmup-steps", type=int, default=30)
    parser.add_argument("--max-length", type=int, default=2048, help="tokens; longer examples are left out")
    parser.add_argument("--gradient-checkpointing", action="store_true", help="less memory, a third more time")
    parser.add_argument("--save-steps", type=int, default=50)
    parser.add_argument("--logging-steps", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint in --out, if there is one"
    )
    finetune(parser.parse_args())


if __name__ == "__main__":
    main()
