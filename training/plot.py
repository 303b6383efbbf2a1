"""The loss curve of a run (build/run/log.jsonl) as a small PNG. Needs matplotlib."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description="Plot the loss curve.")
    parser.add_argument("--log", type=Path, default=HERE / "build" / "run" / "log.jsonl")
    parser.add_argument("--out", type=Path, default=HERE / "loss.png")
    args = parser.parse_args()
    entries = [json.loads(line) for line in args.log.read_text().splitlines()]
    figure, left = plt.subplots(figsize=(7, 4))
    for length in sorted({e["length"] for e in entries if "loss" in e}):
        part = [e for e in entries if e.get("length") == length]
        # Points, since a run in sittings comes back to short sequences.
        left.plot([e["tokens"] / 1e6 for e in part], [e["loss"] for e in part], ".", ms=3, label=f"{length} tokens")
    left.set(xlabel="tokens seen (millions)", ylabel="training loss (nats a token, middles weigh double)")
    right = left.twinx()
    held_out = [e for e in entries if "held_out_bits_per_byte" in e]
    bits = [e["held_out_bits_per_byte"] for e in held_out]
    right.plot([e["tokens"] / 1e6 for e in held_out], bits, "o-", color="tab:green", label="held out")
    right.set_ylabel("held-out bits per byte")
    figure.legend(loc="upper right", bbox_to_anchor=(0.88, 0.87))
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)


if __name__ == "__main__":
    main()
