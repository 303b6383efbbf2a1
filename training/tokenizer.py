"""The bundled model's tokenizer: byte-level BPE as StarCoder's, with StarCoder's special tokens as ids 0..18.

The names and their order follow StarCoder's tokenizer.json; digits are split one by one, as there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent

SPECIAL_TOKENS = [
    "<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>", "<gh_stars>",
    "<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>", "<jupyter_code>",
    "<jupyter_output>", "<empty_output>", "<commit_before>", "<commit_msg>", "<commit_after>", "<reponame>",
]  # fmt: skip


def train(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    """A tokenizer of `vocab_size` tokens, the special ones and all 256 bytes among them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(folder: Path) -> Tokenizer:
    """The folder's tokenizer, told that special tokens in a text are plain text (the sentinels go in as ids)."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def save(tokenizer: Tokenizer, folder: Path, n_positions: int) -> None:
    """tokenizer.json and the two small files that transformers reads beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    eos = SPECIAL_TOKENS[0]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": eos, "eos_token": eos, "unk_token": eos,
        "model_max_length": n_positions,
        "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    special = {"additional_special_tokens": SPECIAL_TOKENS, "bos_token": eos, "eos_token": eos, "unk_token": eos}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the tokenizer on the corpus.")
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--n-positions", type=int, default=1024)
    args = parser.parse_args()
    with (args.build / "train.jsonl").open(encoding="utf-8") as lines:
        tokenizer = train((json.loads(line)["text"] for line in lines), args.vocab_size)
    save(tokenizer, args.build / "tokenizer", args.n_positions)
    text = "".join(json.loads(line)["text"] for line in (args.build / "held_out.jsonl").open(encoding="utf-8"))
    tokens = sum(len(tokenizer.encode(text[i : i + 100_000]).ids) for i in range(0, len(text), 100_000))
    print(f"{tokenizer.get_vocab_size()} tokens; {len(text.encode()) / tokens:.2f} held-out bytes a token")


if __name__ == "__main__":
    main()
