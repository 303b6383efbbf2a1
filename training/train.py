"""Pre-training of the bundled model, on a CPU or one GPU; the same command resumes a run that was interrupted.

`python training/train.py --minutes 80`. Learning rates fall linearly to zero over the budget (--minutes or --steps,
whichever ends first). Short sequences first, at random position offsets so that every learned position is trained;
full length for the last part.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NoReturn

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from data import Document, Sequences, read_corpus
from model import LanguageModel, make_config, make_model
from muon import Muon
from prompts import read_turns
from rate import Rate
from samples import Mix, Recipe
from tokenizer import encode_text
from tokenizer import load as load_tokenizer

HERE = Path(__file__).parent

# --preset gpu has never been run: sizes from the issue, learning rates and batch a guess from the small model's.
PRESETS: dict[str, dict[str, float]] = {
    "cpu": {},
    "gpu": {
        "n_embd": 640, "n_layer": 12, "n_head": 10, "n_positions": 2048, "short": 1024, "full_share": 0.4,
        "batch_tokens": 131_072, "minutes": 1000, "steps": 1800, "lr_muon": 3e-3, "lr_adamw": 3e-3, "same_file": 0.8,
    },
}  # fmt: skip


@dataclass
class Progress:
    """Where a run is; saved with each checkpoint. `short` and `full` count the sequences drawn, the data position."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    short: int = 0
    full: int = 0


def schedule(done: float, warmup: float) -> float:
    """Factor of the learning rate when the share `done` of the budget is spent: linear up, then linear to zero."""
    return min(done / warmup if warmup else 1.0, (1 - done) / (1 - warmup), 1.0) if done < 1 else 0.0


def spent(progress: Progress, minutes: float, steps: int) -> float:
    """Share of the budget that is used up."""
    return max(progress.seconds / (60 * minutes), progress.step / steps)


def make_optimizers(model: torch.nn.Module, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings, norms and biases."""
    named = list(model.named_parameters())
    matrices = [p for n, p in named if p.ndim == 2 and ".h." in n]
    rest = [p for n, p in named if not (p.ndim == 2 and ".h." in n)]
    muon = Muon(matrices, lr=args.lr_muon, weight_decay=args.weight_decay)
    adamw = torch.optim.AdamW(rest, lr=args.lr_adamw, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    return [muon, adamw]


@dataclass
class HeldOut:
    """Plain chunks of held-out files: ids int64 [N, T + 1] and how many bytes their targets spell."""

    ids: Tensor
    n_bytes: int


def held_out_chunks(documents: list[Document], tokenizer: Tokenizer, length: int, count: int) -> HeldOut:
    """The first chunk of the first `count` files that are long enough."""
    encoded = (tokenizer.encode(d.text[: length * 8], add_special_tokens=False).ids[: length + 1] for d in documents)
    chunks = list(islice((ids for ids in encoded if len(ids) == length + 1), count))
    return HeldOut(torch.tensor(chunks), sum(len(tokenizer.decode(ids[1:]).encode()) for ids in chunks))


@torch.no_grad()
def bits_per_byte(model: LanguageModel, held_out: HeldOut, batch: int) -> float:
    """A quick look during training; the model card's figures come from measures/evaluate.py."""
    nats = 0.0
    for ids in torch.split(held_out.ids.to(next(model.parameters()).device), batch):
        start = torch.zeros(len(ids), dtype=torch.long, device=ids.device)
        nats += float(model(ids, torch.ones_like(ids, dtype=torch.float32), start)) * ids[:, 1:].numel()
    return nats / math.log(2) / held_out.n_bytes


def save(folder: Path, model: LanguageModel, optimizers: list[torch.optim.Optimizer], progress: Progress) -> None:
    """Checkpoint (model, optimizers, progress; replaced whole or not at all), and the model as transformers reads it,
    with its tokenizer."""
    model.model.save_pretrained(folder / "model")
    shutil.copytree(folder.parent / "tokenizer", folder / "model", dirs_exist_ok=True)
    state = {
        "model": model.model.state_dict(),
        "optimizers": [o.state_dict() for o in optimizers],
        "progress": asdict(progress),
    }
    torch.save(state, folder / "checkpoint.tmp")
    (folder / "checkpoint.tmp").replace(folder / "checkpoint.pt")


def resume(folder: Path, model: LanguageModel, optimizers: list[torch.optim.Optimizer]) -> Progress:
    """Loads the folder's checkpoint if there is one; where the run stands."""
    if not (folder / "checkpoint.pt").exists():
        return Progress()
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    model.model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return Progress(**state["progress"])


def make_mix(args: argparse.Namespace) -> Mix:
    return Mix(instructions=args.instruction_share if args.instructions else 0.0, same_file=args.same_file)


def batches(data: Sequences, first: int, size: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of sequences number first, first + 1, ... without end: (ids, weights), each [size, length + 1]."""
    return iter(DataLoader(data, batch_size=size, sampler=range(first, 1 << 40), num_workers=workers))


def train(args: argparse.Namespace) -> None:
    """Sets everything up, resumes if there is something to resume, trains until the budget is spent, and saves."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(args.seed)
    tokenizer = load_tokenizer(args.build / "tokenizer")
    held_out = held_out_chunks(read_corpus(args.build / "held_out.jsonl"), tokenizer, args.short, 64)
    config = make_config(tokenizer.get_vocab_size(), args.n_embd, args.n_layer, args.n_head, args.n_positions)
    model = LanguageModel(make_model(config)).to(device)
    optimizers = make_optimizers(model, args)
    folder: Path = args.build / "run"
    folder.mkdir(parents=True, exist_ok=True)
    progress = resume(folder, model, optimizers)
    if device.type == "cuda":
        model.model.transformer.compile()
    documents = read_corpus(args.build / "train.jsonl")
    turns = read_turns(args.instructions) if args.instructions else []
    recipe = Recipe(partial(encode_text, tokenizer), make_mix(args))
    streams = [
        batches(
            Sequences(documents, length, recipe, args.seed, args.chars_per_token, turns),
            drawn,
            args.batch_tokens // length,
            args.workers,
        )
        for length, drawn in ((args.short, progress.short), (args.n_positions, progress.full))
    ]
    rate = Rate(model, device)
    with (folder / "log.jsonl").open("a", buffering=1) as log, seconds_bar(args.minutes, progress) as bar:
        clock, began, saved = time.monotonic(), progress.seconds, progress.seconds
        losses: list[Tensor] = []
        while (done := spent(progress, args.minutes, args.steps)) < 1:
            if args.stop_after and progress.seconds - began > 60 * args.stop_after:
                break
            use_full = done >= 1 - args.full_share
            ids, weights = (t.to(device) for t in next(streams[use_full]))
            losses.append(update(model, optimizers, ids, weights, done, progress.step, args))
            now = time.monotonic()
            progress.seconds, clock = progress.seconds + now - clock, now
            progress.step += 1
            progress.tokens += ids.shape[0] * (ids.shape[1] - 1)
            progress.full += len(ids) * use_full
            progress.short += len(ids) * (not use_full)
            if len(losses) == args.log_steps:
                loss = float(torch.stack(losses).mean())
                losses.clear()
                speed = rate.since_last(progress.seconds, progress.tokens, ids.shape[1] - 1)
                line = {**asdict(progress), "loss": loss, "done": done, "length": ids.shape[1] - 1, **speed}
                if progress.seconds - saved > 60 * args.save_minutes:
                    line["held_out_bits_per_byte"] = bits_per_byte(model, held_out, args.batch_tokens // args.short)
                    save(folder, model, optimizers, progress)
                    saved = progress.seconds
                log.write(json.dumps(line) + "\n")
                bar.set_postfix_str(f"step {progress.step}, loss {loss:.3f}, {rate.text(speed)}")
                bar.update(round(progress.seconds) - bar.n)
        bits = bits_per_byte(model, held_out, args.batch_tokens // args.short)
        log.write(json.dumps({**asdict(progress), "held_out_bits_per_byte": bits}) + "\n")
    save(folder, model, optimizers, progress)


def seconds_bar(minutes: float, progress: Progress) -> tqdm[NoReturn]:
    return tqdm(total=round(60 * minutes), initial=round(progress.seconds), unit="s", mininterval=10)


def update(
    model: LanguageModel,
    optimizers: list[torch.optim.Optimizer],
    ids: Tensor,
    weights: Tensor,
    done: float,
    step: int,
    args: argparse.Namespace,
) -> Tensor:
    """One step of the optimizers on a batch ids, weights [B, T + 1]; its loss, not yet waited for on a GPU."""
    offsets = torch.Generator().manual_seed(args.seed + step)  # so that a resumed run draws the same
    first = torch.randint(0, args.n_positions - ids.shape[1] + 2, (len(ids),), generator=offsets).to(ids.device)
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=ids.is_cuda):
        loss: Tensor = model(ids, weights, first)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    factor = schedule(done, args.warmup)
    for optimizer, lr in zip(optimizers, (args.lr_muon, args.lr_adamw), strict=True):
        optimizer.param_groups[0]["lr"] = factor * lr
        optimizer.step()
        optimizer.zero_grad()
    return loss.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description="Pre-train the bundled model (or resume).")
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--minutes", type=float, default=80, help="time budget that the learning rate follows")
    parser.add_argument("--steps", type=int, default=1_000_000, help="step budget; the earlier of the two ends the run")
    parser.add_argument("--n-embd", type=int, default=256)
    parser.add_argument("--n-layer", type=int, default=6)
    parser.add_argument("--n-head", type=int, default=4)
    parser.add_argument("--n-positions", type=int, default=1024)
    parser.add_argument("--short", type=int, default=512, help="sequence length of the first part, tokens")
    parser.add_argument("--full-share", type=float, default=0.28, help="share of the budget at full length")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--lr-muon", type=float, default=5e-3)
    parser.add_argument("--lr-adamw", type=float, default=4e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1, help="of the layers' matrices")
    parser.add_argument("--warmup", type=float, default=0.02, help="share of the budget")
    parser.add_argument("--chars-per-token", type=float, default=3.5, help="how much text a sequence is offered")
    parser.add_argument("--instructions", type=Path, help="JSONL of {instruction, input?, output} to mix in")
    parser.add_argument(
        "--instruction-share", type=float, default=0.12, help="of the sequences, filled with those first"
    )
    parser.add_argument("--workers", type=int, default=8 if torch.cuda.is_available() else 0)
    parser.add_argument("--log-steps", type=int, default=20)
    parser.add_argument("--save-minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--same-file", type=float, default=0.0, help="share of what fills a sequence up: its file's rest"
    )
    parser.add_argument("--stop-after", type=float, help="minutes of this call; the same command then goes on later")
    parser.add_argument(
        "--preset", choices=list(PRESETS), default="cpu", help="gpu: 60M parameters; needs a 16k tokenizer"
    )
    parser.set_defaults(**PRESETS[parser.parse_known_args()[0].preset])
    train(parser.parse_args())


if __name__ == "__main__":
    main()
