"""The corpus as training sequences: number i is always the same, so that a run resumes from a single number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch.utils.data import Dataset

from prompts import Turn
from samples import Recipe, Region, Sample, fim_sample, instruction_sample, plain_sample, regions

MIN_FIM_ROOM = 96  # tokens; less room than that is filled with plain text


@dataclass(frozen=True)
class Document:
    """A file of the corpus, under the path it is shown to the model by."""

    path: str
    text: str


def read_corpus(path: Path) -> list[Document]:
    with path.open(encoding="utf-8") as lines:
        return [Document(f["path"], f["text"]) for f in map(json.loads, lines)]


class Sequences(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Sequences of `length` + 1 tokens, each filled with samples: (ids, weights), int64 and float32 [length + 1].

    The first sample of sequence i comes from region i of a shuffled pass over the corpus (a new pass, cut elsewhere,
    when all are used), the samples that fill it up from random regions or from the rest of the same file. Where there
    are instructions, the share of the sequences that the mix says begins with as many random ones as fit; the other
    sequences are the same without them.
    """

    def __init__(
        self,
        documents: list[Document],
        length: int,
        recipe: Recipe,
        seed: int,
        chars_per_token: float,
        instructions: Sequence[Turn] = (),
    ) -> None:
        self.documents, self.length, self.recipe = documents, length, recipe
        self.seed, self.chars_per_token, self.instructions = seed, chars_per_token, instructions
        self.line_starts = [[0, *(i + 1 for i, c in enumerate(d.text) if c == "\n")] for d in documents]
        self.passes: dict[int, list[Region]] = {}
        self.per_pass = len(self.pass_(0))

    def pass_(self, number: int) -> list[Region]:
        if number not in self.passes:
            rng = Random(f"{self.seed} pass {number}")
            chars = int(self.length * self.chars_per_token)
            found = regions([len(d.text) for d in self.documents], self.line_starts, chars, rng)
            self.passes = {number: found}
            self.following = {(r.file, r.start): r for r in found}
        return self.passes[number]

    def next_region(self, region: Region, order: list[Region], rng: Random) -> Region:
        """What fills a sequence up: the rest of the same file, as often as the mix says, or a random region."""
        same_file = self.recipe.mix.same_file
        if same_file and rng.random() < same_file and (region.file, region.end) in self.following:
            return self.following[region.file, region.end]
        return order[rng.randrange(len(order))]

    def sample(self, region: Region, room: int, rng: Random) -> Sample:
        document = self.documents[region.file]
        text = document.text[region.start : region.end]
        if room >= MIN_FIM_ROOM and rng.random() < self.recipe.mix.fim:
            part = text[: int(rng.uniform(0.4, 1.0) * room * self.chars_per_token)]
            if (found := fim_sample(part, document.path, room, rng, self.recipe)) is not None:
                return found
        text = text[: int(room * self.chars_per_token * 2)]  # more than fits, but not the cost of encoding it all
        return plain_sample(text, document.path, region.end == len(document.text), room, rng, self.recipe)

    def instructed(self, index: int) -> Iterator[Sample]:
        """The instructions that sequence `index` begins with: random ones until one doesn't fit any more."""
        rng = Random(f"{self.seed} instructions {index}")
        room = self.length + 1
        if not self.instructions or rng.random() >= self.recipe.mix.instructions:
            return
        while True:
            turn = self.instructions[rng.randrange(len(self.instructions))]
            sample = instruction_sample(turn.prompt, turn.response, self.recipe)
            room -= len(sample.ids)
            if room < 0:
                return
            yield sample

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        number, position = divmod(index, self.per_pass)
        order = self.pass_(number)
        rng = Random(f"{self.seed} sequence {index}")
        region = order[position % len(order)]
        ids: list[int] = []
        weights: list[float] = []
        for sample in self.instructed(index):
            ids += sample.ids
            weights += sample.weights
        while (room := self.length + 1 - len(ids)) > 0:
            sample = self.sample(region, room, rng)
            ids += sample.ids
            weights += sample.weights
            region = self.next_region(region, order, rng)
        return torch.tensor(ids), torch.tensor(weights)
