"""Cuts, layouts and packing: `samples.py` and `data.py`."""

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data import Document, Sequences
from prompts import Turn
from samples import (
    Cut,
    Mix,
    Recipe,
    Sentinels,
    cut,
    end_of_block,
    fim_sample,
    layout,
    line_bounds,
    plain_sample,
    regions,
)

S = Sentinels()
SOURCE = "import os\n\n\ndef join(a, b):\n    # together\n    return os.path.join(a, b)\n\n\nprint(join('x', 'y'))\n"
code = st.text(alphabet="ab (\n\té", max_size=300)


def encode(text: str) -> list[int]:
    """One token a character, clear of the special ids."""
    return [ord(c) + 100 for c in text]


def decode(ids: list[int]) -> str:
    return "".join(chr(i - 100) for i in ids if i >= 100)


def recipe(**mix: float) -> Recipe:
    return Recipe(encode, Mix(**mix))


def only(kind: str) -> Mix:
    return Mix(**(dict.fromkeys(["span", "line_end", "block", "line_block"], 0.0) | {kind: 1.0}), no_suffix=0.0)


@pytest.mark.parametrize(
    ("path", "spm", "expected"),
    [
        (None, False, [S.prefix, *encode("P"), S.suffix, *encode("S"), S.middle, *encode("M"), S.eos]),
        (None, True, [S.prefix, S.suffix, *encode("S"), S.middle, *encode("P"), *encode("M"), S.eos]),
        ("f", False, [S.filename, *encode("f\nP"), S.suffix, *encode("S"), S.middle, *encode("M"), S.eos]),
    ],
)
def test_layouts(path: str | None, spm: bool, expected: list[int]) -> None:
    if path is not None:
        expected = [*expected[:3], S.prefix, *expected[3:]]
    sample = layout(Cut("P", "M", "S"), path, spm, recipe(middle_weight=3.0))
    assert sample.ids == expected
    assert sample.weights == [1.0] * (len(expected) - 2) + [3.0, 3.0]


@given(code, st.integers(), st.sampled_from(["span", "line_end", "block", "line_block"]))
def test_a_cut_is_the_text_in_three_parts(text: str, seed: int, kind: str) -> None:
    parts = cut(text, Random(seed), only(kind))
    assert parts.prefix + parts.middle + parts.suffix == text


@given(code, st.integers())
def test_line_end_middles_stop_before_the_newline(text: str, seed: int) -> None:
    parts = cut(text, Random(seed), only("line_end"))
    assert "\n" not in parts.middle
    assert parts.suffix[:1] in ("", "\n")


@given(code, st.integers())
def test_block_middles_are_whole_lines(text: str, seed: int) -> None:
    parts = cut(text, Random(seed), only("block"))
    assert parts.prefix == "" or parts.prefix.endswith("\n")
    assert parts.middle.count("\n") < Mix().max_block_lines
    assert parts.middle == parts.middle.rstrip()


def test_a_dropped_suffix_looks_like_the_end_of_a_file() -> None:
    assert {cut(SOURCE, Random(i), Mix(no_suffix=1.0)).suffix for i in range(20)} == {"", "\n"}


@pytest.mark.parametrize(("offset", "bounds"), [(0, (0, 9)), (9, (0, 9)), (10, (10, 10)), (12, (12, 27))])
def test_line_bounds(offset: int, bounds: tuple[int, int]) -> None:
    assert line_bounds(SOURCE, offset) == bounds


def test_a_block_leaves_out_trailing_blank_lines() -> None:
    start = SOURCE.index("    return")
    assert SOURCE[start : end_of_block(SOURCE, start, 3)] == "    return os.path.join(a, b)"


@given(st.integers(), st.integers(min_value=20, max_value=400))
def test_fim_samples_fit(seed: int, room: int) -> None:
    sample = fim_sample(SOURCE * 3, "x.py", room, Random(seed), recipe())
    if sample is not None:
        assert len(sample.ids) == len(sample.weights) <= room
        assert sample.ids[-1] == S.eos
        assert [sample.ids.count(i) for i in (S.prefix, S.middle, S.suffix)] == [1, 1, 1]


@pytest.mark.parametrize(("ends", "weight"), [(True, 1.0), (False, 0.0)])
def test_the_end_token_is_learned_only_where_a_file_ends(ends: bool, weight: float) -> None:
    sample = plain_sample("ab", "x", ends, 10, Random(0), recipe(with_path=0.0))
    assert (sample.ids, sample.weights) == ([*encode("ab"), S.eos], [1.0, 1.0, weight])


@given(st.lists(code, min_size=1, max_size=4), st.integers(min_value=5, max_value=80), st.integers())
def test_regions_tile_every_file(texts: list[str], chars: int, seed: int) -> None:
    starts = [[0, *(i + 1 for i, c in enumerate(t) if c == "\n")] for t in texts]
    found = sorted(regions([len(t) for t in texts], starts, chars, Random(seed)), key=lambda r: (r.file, r.start))
    for file, text in enumerate(texts):
        assert "".join(text[r.start : r.end] for r in found if r.file == file) == text


def test_sequences_have_one_length_and_are_repeatable() -> None:
    documents = [Document(f"{i}.py", SOURCE * (i + 1)) for i in range(4)]
    data, again = (Sequences(documents, 128, recipe(), seed=7, chars_per_token=1.0) for _ in range(2))
    for index in (0, 1, data.per_pass, 3 * data.per_pass + 1):
        ids, weights = data[index]
        assert ids.shape == weights.shape == (129,)
        assert torch.equal(ids, again[index][0])
    text = decode(data[0][0].tolist())
    assert "os" in text


def sequences(share: float, same_file: float = 0.0) -> Sequences:
    turns = [Turn("ask", "\n" + "yes" * n) for n in (2, 9)]
    made = Recipe(encode, Mix(instructions=share, same_file=same_file, fim=0.0, with_path=0.0))
    return Sequences([Document(f"{i}.py", f"{i}" * 300) for i in range(4)], 64, made, 7, 0.5, turns)


def test_a_share_of_the_sequences_begins_with_instructions() -> None:
    plain, mixed = sequences(0.0), sequences(0.5)
    begins = [decode(mixed[i][0].tolist()).startswith("ask") for i in range(100)]
    assert 30 < sum(begins) < 70
    for i, begun in enumerate(begins):
        ids, weights = mixed[i]
        assert ids.shape == weights.shape == (65,)
        assert torch.equal(ids, plain[i][0]) is not begun
        if begun:
            assert weights[:4].tolist() == [0.0, 0.0, 0.0, 2.0]
            assert S.eos in ids.tolist()


def test_what_fills_a_sequence_up_can_be_the_rest_of_its_file() -> None:
    apart, together = sequences(0.0), sequences(0.0, same_file=1.0)

    def files(data: Sequences) -> float:
        return sum(len(set(decode(data[i][0].tolist()))) for i in range(40)) / 40

    assert files(together) < files(apart)
