"""The bundled model's own calibration sequences, for `starfill models quantize --calibration`: a JSONL of token ids.

`python training/calibration.py`: training sequences, fill-in-the-middle samples among them (and instructions, where the
model was trained on some), drawn with another seed than training's, so that the layouts the server sends are calibrated
on.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from data import Sequences, read_corpus
from prompts import read_turns
from samples import Mix, Recipe
from tokenizer import encode_text
from tokenizer import load as load_tokenizer

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the calibration sequences of the bundled model.")
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--model", type=Path, help="without it: run/model in the build folder")
    parser.add_argument("--out", type=Path, help="without it: calibration.jsonl in the build folder")
    parser.add_argument("--samples", type=int, default=96)
    parser.add_argument("--instructions", type=Path, help="JSONL of {instruction, input?, output} to mix in")
    parser.add_argument(
        "--instruction-share", type=float, default=0.12, help="of the sequences, filled with those first"
    )
    args = parser.parse_args()
    config = json.loads(((args.model or args.build / "run" / "model") / "config.json").read_text())
    turns = read_turns(args.instructions) if args.instructions else []
    mix = Mix(instructions=args.instruction_share if turns else 0.0)
    recipe = Recipe(partial(encode_text, load_tokenizer(args.build / "tokenizer")), mix)
    length = config["n_positions"]
    sequences = Sequences(read_corpus(args.build / "train.jsonl"), length, recipe, 1, 3.5, turns)
    with (args.out or args.build / "calibration.jsonl").open("w") as out:
        for index in range(args.samples):
            out.write(json.dumps({"ids": sequences[index][0][:-1].tolist()}) + "\n")


if __name__ == "__main__":
    main()
