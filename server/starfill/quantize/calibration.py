"""The token sequences for calibration: from the user's text or ids, or from Python's own standard library."""

from __future__ import annotations

import json
import os
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from starfill.checkpoint.config import CheckpointConfig
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.errors import SettingsError

CHARS_PER_TOKEN = 4  # a rough average for code; only for cutting texts into pieces
LARGEST_FILE = 2**20  # bytes; larger files are more often data than source
SKIPPED = {"test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3", "__pycache__", "node_modules"}


@dataclass(frozen=True, slots=True)
class CalibrationSample:
    """How much to calibrate on: `count` sequences of `length` tokens, drawn with `seed`."""

    count: int = 128
    length: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or self.length < 1:
            raise SettingsError(f"--samples {self.count} and --sequence {self.length} have to be positive numbers")


def sequences(path: Path | None, config: CheckpointConfig, sample: CalibrationSample) -> list[list[int]]:
    """At most `sample.count` sequences of token ids.

    path: a text file; a JSONL whose lines have "text" or "content", or "ids", which are taken as they are and in their
    order; a folder of source files; None: the standard library of the Python that runs. Raises SettingsError naming the
    file or line that can't be used.
    """
    rng = Random(sample.seed)
    source = path or Path(sysconfig.get_path("stdlib"))
    if not source.exists():
        raise SettingsError(f"the calibration text {source} doesn't exist: name a text file, a JSONL or a folder")
    lines = _lines(source) if source.suffix == ".jsonl" else []
    if lines and "ids" in _row(source, *lines[0]):
        return _given_ids(source, lines[: sample.count], int(config.model.get("vocab_size", 0)), sample.length)
    if source.is_dir():
        documents = _files(source, rng)
    elif source.suffix == ".jsonl":
        documents = (_text_of(source, *line) for line in rng.sample(lines, len(lines)))
    else:
        documents = iter([_read(source)])
    encode = CheckpointTokenizer.from_folder(config.folder, int(config.model.get("vocab_size", 0))).encode
    found = _packed(_pieces(documents, sample.length * CHARS_PER_TOKEN, rng), encode, config, sample)
    if not found:
        raise SettingsError(
            f"the calibration text {source} is shorter than one sequence of {sample.length} tokens: give more text, or"
            " a smaller --sequence"
        )
    return found


def _packed(
    pieces: Iterator[str], encode: Callable[[str], list[int]], config: CheckpointConfig, sample: CalibrationSample
) -> list[list[int]]:
    """Pieces of text one after the other, with the end-of-text token between them, cut into whole sequences."""
    first = _bos(config)
    eos = config.model.get("eos_token_id")
    between = [eos] if type(eos) is int else []
    room = max(1, sample.length - len(first))
    ids: list[int] = []
    for piece in pieces:
        ids += encode(piece) + between
        if len(ids) >= sample.count * room:
            break
    count = min(sample.count, len(ids) // room)
    return [first + ids[i * room : (i + 1) * room] for i in range(count)]


def _bos(config: CheckpointConfig) -> list[int]:
    """The token that the model's own tokenizer puts before every text, if it does."""
    source, bos = config.folder / "tokenizer_config.json", config.model.get("bos_token_id")
    try:
        adds = json.loads(source.read_text(encoding="utf-8")).get("add_bos_token") is True
    except (OSError, ValueError, AttributeError):
        return []
    return [bos] if adds and type(bos) is int else []


def _pieces(documents: Iterator[str], size: int, rng: Random) -> Iterator[str]:
    """Parts of at most `size` characters: first one of each document, further ones when these are used up."""
    rest: list[str] = []
    for text in documents:
        parts = _cut(text, size)
        rng.shuffle(parts)
        yield from parts[:1]
        rest += parts[1:]
    rng.shuffle(rest)
    yield from rest


def _cut(text: str, size: int) -> list[str]:
    """Cut at line ends if there are any."""
    parts, start = [], 0
    while start < len(text):
        end = start + size
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or end
        parts.append(text[start:end])
        start = end
    return parts


def _files(folder: Path, rng: Random) -> Iterator[str]:
    """The readable files of a folder in random order, without hidden ones, tests and large ones."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        found += (Path(place, name) for name in sorted(names) if not name.startswith("."))
    rng.shuffle(found)
    for path in found:
        try:
            text = path.read_text(encoding="utf-8") if path.stat().st_size <= LARGEST_FILE else ""
        except (OSError, UnicodeDecodeError):
            continue
        if "\0" not in text:
            yield text


def _lines(path: Path) -> list[tuple[int, str]]:
    """(number from 1, line) of each line that isn't blank."""
    lines = [(number, line) for number, line in enumerate(_read(path).split("\n"), 1) if line.strip()]
    if not lines:
        raise SettingsError(f'the calibration file {path} is empty: write lines like {{"text": ...}} into it')
    return lines


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the calibration file {path} can't be read as UTF-8 text ({error})") from None


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise SettingsError(f"line {number} of {path} is not JSON ({error})") from None
    if not isinstance(row, dict):
        raise SettingsError(f'line {number} of {path} is no JSON object: write lines like {{"text": ...}}')
    return row


def _text_of(path: Path, number: int, line: str) -> str:
    row = _row(path, number, line)
    text = row.get("text", row.get("content"))
    if not isinstance(text, str):
        raise SettingsError(f'line {number} of {path} has no string under "text" or "content"')
    return text


def _given_ids(path: Path, lines: Sequence[tuple[int, str]], vocab_size: int, length: int) -> list[list[int]]:
    found = []
    for number, line in lines:
        ids = _row(path, number, line).get("ids")
        if not isinstance(ids, list) or not ids or not all(type(id) is int and 0 <= id < vocab_size for id in ids):
            raise SettingsError(f'line {number} of {path} needs "ids": token ids from 0 to {vocab_size - 1}')
        found.append(ids[:length])
    return found
