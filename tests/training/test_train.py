"""Loss, optimizer, schedule, and a resumed run against an uninterrupted one."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

import train
from model import LOSS_ROWS, ChunkedCrossEntropy, LanguageModel, make_config, make_model
from muon import Muon, orthogonalise
from rate import Rate
from tokenizer import save as save_tokenizer
from tokenizer import train as train_tokenizer


def test_chunked_loss_and_gradients_equal_torchs() -> None:
    torch.manual_seed(0)
    rows, width, vocab = LOSS_ROWS + 37, 8, 50
    hidden, head = torch.randn(rows, width, requires_grad=True), torch.randn(vocab, width, requires_grad=True)
    targets, weights = torch.randint(0, vocab, (rows,)), torch.rand(rows)
    loss = ChunkedCrossEntropy.apply(hidden, head, targets, weights)
    loss.backward()
    plain_hidden, plain_head = hidden.detach().requires_grad_(), head.detach().requires_grad_()
    losses = cross_entropy(plain_hidden @ plain_head.T, targets, reduction="none")
    plain = (losses * weights).sum() / weights.sum()
    plain.backward()
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(hidden.grad, plain_hidden.grad)
    torch.testing.assert_close(head.grad, plain_head.grad)


@pytest.mark.parametrize("shape", [(2, 16, 48), (1, 48, 16), (3, 32, 32)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.3
    assert values.max() < 1.4


def test_muon_lowers_a_loss() -> None:
    torch.manual_seed(0)
    weight, goal = torch.zeros(16, 24, requires_grad=True), torch.randn(16, 24)
    optimizer = Muon([weight], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (weight - goal).square().mean().backward()
        optimizer.step()
    assert (weight - goal).square().mean() < 0.5 * goal.square().mean()


@pytest.mark.parametrize(("done", "factor"), [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.5), (1.0, 0.0)])
def test_schedule(done: float, factor: float) -> None:
    assert train.schedule(done, warmup=0.1) == pytest.approx(factor)


def run(build: Path, steps: int, budget: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Trains a tiny model up to `steps` of a budget of `budget`; the weights it saved."""
    args = argparse.Namespace(
        build=build, minutes=1e9, steps=budget, n_embd=16, n_layer=1, n_head=2, n_positions=64, short=32,
        full_share=0.5, batch_tokens=128, lr_muon=1e-2, lr_adamw=1e-2, weight_decay=0.1, warmup=0.25,
        chars_per_token=2.0, workers=0, log_steps=1, save_minutes=1e9, seed=3, stop_after=None,
        instructions=build / "instructions.jsonl", instruction_share=0.5, same_file=0.5,
    )  # fmt: skip
    spent = train.spent
    stop = steps / budget
    monkeypatch.setattr(train, "spent", lambda *a: 1.0 if spent(*a) >= stop else spent(*a))
    train.train(args)
    monkeypatch.undo()
    saved: dict[str, torch.Tensor] = torch.load(build / "run" / "checkpoint.pt", weights_only=True)["model"]
    return saved


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"def f{i}(x):\n    return x + {i}\n\n" for i in range(60))
    builds = [tmp_path / "whole", tmp_path / "halves"]
    for build in builds:
        build.mkdir()
        (build / "instructions.jsonl").write_text('{"instruction": "Hi", "output": "Yes."}\n')
        save_tokenizer(train_tokenizer(iter([text]), 300), build / "tokenizer", 64)
        for name in ("train.jsonl", "held_out.jsonl"):
            (build / name).write_text(json.dumps({"package": "p", "path": "a.py", "text": text}) + "\n")
    whole = run(builds[0], 8, 8, monkeypatch)
    run(builds[1], 3, 8, monkeypatch)
    halves = run(builds[1], 8, 8, monkeypatch)
    for name, tensor in whole.items():
        torch.testing.assert_close(halves[name], tensor)
    log = [json.loads(line) for line in (builds[1] / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["length"] for entry in log if "loss" in entry] == [32] * 4 + [64] * 4
    assert (builds[1] / "run" / "model" / "tokenizer.json").exists()
    assert json.loads((builds[1] / "run" / "model" / "config.json").read_text())["starfill_family"] == "starfill"


def options(preset: str, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    seen: list[argparse.Namespace] = []
    monkeypatch.setattr(train, "train", seen.append)
    monkeypatch.setattr("sys.argv", ["train.py", "--preset", preset])
    train.main()
    return seen[0]


def test_the_gpu_preset_has_60_million_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    args = options("gpu", monkeypatch)
    with torch.device("meta"):
        model = LanguageModel(make_model(make_config(16384, args.n_embd, args.n_layer, args.n_head, args.n_positions)))
    assert 55e6 < sum(p.numel() for p in model.parameters()) < 65e6
    assert args.batch_tokens % args.n_positions == args.batch_tokens % args.short == 0
    assert options("cpu", monkeypatch).n_embd == 256


def test_speed_and_share_of_peak() -> None:
    model = LanguageModel(make_model(make_config(64, 16, 1, 2, 32)))
    rate = Rate(model, torch.device("cpu"))
    weights = sum(p.numel() for p in model.parameters()) - 32 * 16  # the positions multiply nothing
    assert rate.flops(32) == 6 * weights + 12 * 16 * 32
    rate.peak = 2000 * rate.flops(32)
    assert rate.since_last(10, 0, 32) == {}
    speed = rate.since_last(12, 2000, 32)
    assert speed == {"tokens_per_second": 1000, "mfu": 0.5}
    assert rate.text(speed) == "1,000 tokens/s, 50 % of peak"
