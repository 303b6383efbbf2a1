"""Held-out figures of one or more checkpoints: bits per byte, and exact match of single-line middles by prompt layout.

`python training/evaluate.py build/run/model ../server/starfill/bundled/model`. Through plain transformers with greedy
decoding, on the packages that training never saw. Prints them and adds them to evaluation.json in the build folder.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from tqdm import tqdm
from transformers import GPTBigCodeForCausalLM

import checkpoint
from data import Document, read_corpus
from samples import Encode, Sentinels, line_bounds
from tokenizer import encode_text
from tokenizer import load as load_tokenizer

HERE = Path(__file__).parent
LAYOUTS = ("psm", "anchored", "anchored, healed", "spm", "spm, healed")
MAX_NEW_TOKENS = 48
WORST = -1e9


@dataclass(frozen=True)
class Case:
    """A cursor in a line: what stands before it, the rest of its line, and what follows."""

    prefix: str
    middle: str
    suffix: str


@torch.no_grad()
def bits_per_byte(model: GPTBigCodeForCausalLM, documents: list[Document], encode: Encode, s: Sentinels) -> float:
    """Over whole files in windows of n_positions tokens that overlap by half, so that every token but a file's first
    ones is predicted from at least half a window."""
    length = model.config.n_positions
    nats = size = 0.0
    for document in tqdm(documents, desc="bits per byte", leave=False):
        ids = torch.tensor([s.eos, *encode(document.text)])
        scored = 1
        for start in range(0, len(ids) - 1, length // 2):
            window = ids[start : start + length]
            logits = model(window[None]).logits[0, scored - start - 1 : -1]
            nats += float(torch.nn.functional.cross_entropy(logits, window[scored - start :], reduction="sum"))
            scored = start + len(window)
            if scored == len(ids):
                break
        size += len(document.text.encode())
    return nats / math.log(2) / size


def single_line_cases(documents: list[Document], count: int, seed: int) -> list[Case]:
    """Random cursors: a file by its length, a line that isn't blank, a column from its first character to its last."""
    rng = Random(seed)
    cases: list[Case] = []
    while len(cases) < count:
        text = rng.choices(documents, [len(d.text) for d in documents])[0].text
        start, end = line_bounds(text, rng.randrange(len(text)))
        indent = len(text[start:end]) - len(text[start:end].lstrip())
        if start + indent < end:
            cursor = rng.randrange(start + indent, end)
            if text[cursor:end].strip():
                cases.append(Case(text[:cursor], text[cursor:end], text[end:]))
    return cases


def prompt(case: Case, layout: str, encode: Encode, s: Sentinels, room: int) -> tuple[list[int], list[int]]:
    """Token ids of the prompt and the text tokens that it ends with. `room` tokens for P and S, 3/4 and 1/4 of it."""
    suffix = encode(case.suffix[: room * 2])[: room // 4]
    text = case.prefix[-room * 4 :]
    text = text[text.find("\n") + 1 :] if len(case.prefix) > len(text) else text
    anchor = line_bounds(text, len(text))[0] if layout.startswith("anchored") else len(text)
    typed = encode(text[anchor:])[-room // 4 :]
    prefix = encode(text[:anchor])[-(room * 3 // 4 - len(typed)) :]
    if layout.startswith("spm"):
        return [s.prefix, s.suffix, *suffix, s.middle, *prefix], prefix
    return [s.prefix, *prefix, s.suffix, *suffix, s.middle, *typed], typed


def spellings(tokenizer: Tokenizer) -> list[str]:
    """What each token spells; in byte-level BPE's alphabet (one character a byte); special tokens spell nothing."""
    size = tokenizer.get_vocab_size()
    n_special = len(tokenizer.get_added_tokens_decoder())
    return ["" if i < n_special else tokenizer.id_to_token(i) or "" for i in range(size)]


@torch.no_grad()
def complete(
    model: GPTBigCodeForCausalLM, tokenizer: Tokenizer, ids: list[int], owed: str, spelled: list[str], s: Sentinels
) -> str:
    """Greedy text up to the end of the line. `owed` (in the token alphabet) is what the first tokens have to spell."""
    cache, fresh, out = None, torch.tensor([ids]), list[int]()
    newline = "Ċ"  # "\n" in the alphabet of byte-level BPE
    while len(out) < MAX_NEW_TOKENS:
        answer = model(fresh, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache, logits = answer.past_key_values, answer.logits[0, -1]
        if owed:
            fits = torch.tensor([bool(t) and (t.startswith(owed) or owed.startswith(t)) for t in spelled])
            logits = logits.masked_fill(~fits, WORST)
        token = int(logits.argmax())
        owed = owed[len(spelled[token]) :]
        if token == s.eos or newline in spelled[token]:
            break
        out.append(token)
        fresh = torch.tensor([[token]])
    text: str = tokenizer.decode(out)
    return text


def exact_match(
    model: GPTBigCodeForCausalLM, tokenizer: Tokenizer, cases: list[Case], layout: str, encode: Encode, s: Sentinels
) -> float:
    """Share of cases whose line is completed to the letter (white space at its end aside)."""
    spelled = spellings(tokenizer)
    room = model.config.n_positions - MAX_NEW_TOKENS - 64
    hits = 0
    for case in tqdm(cases, desc=layout, leave=False):
        ids, tail = prompt(case, layout, encode, s, room)
        healed = tail[-1:] if layout.endswith("healed") else []
        ids = ids[: len(ids) - len(healed)]
        owed = "".join(spelled[i] for i in healed)
        text = complete(model, tokenizer, ids, owed, spelled, s)
        hits += text[len(tokenizer.decode(healed)) :].rstrip() == case.middle.rstrip()
    return hits / len(cases)


def main() -> None:
    parser = argparse.ArgumentParser(description="Evaluate checkpoints on the held-out packages.")
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--files", type=int, default=1000, help="held-out files for bits per byte")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    tokenizer, s = load_tokenizer(args.build / "tokenizer"), Sentinels()
    encode = partial(encode_text, tokenizer)
    documents = read_corpus(args.build / "held_out.jsonl")
    chosen = Random(args.seed).sample(documents, min(args.files, len(documents)))
    cases = single_line_cases(documents, args.cases, args.seed)
    report: Path = args.build / "evaluation.json"
    results: dict[str, dict[str, float]] = json.loads(report.read_text()) if report.exists() else {}
    for folder in args.models:
        model = checkpoint.load(folder)
        row = {"bits_per_byte": bits_per_byte(model, chosen, encode, s)}
        row |= {layout: exact_match(model, tokenizer, cases, layout, encode, s) for layout in LAYOUTS if cases}
        results[str(folder)] = row
        report.write_text(json.dumps(results, indent=1) + "\n")
        print(folder, json.dumps({key: round(value, 4) for key, value in row.items()}), flush=True)


if __name__ == "__main__":
    main()
