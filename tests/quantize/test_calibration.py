"""Calibration text: the user's in each form, the default, and what can't be used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from starfill.checkpoint.config import CheckpointConfig, read_config
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.config.folders import BUNDLED
from starfill.errors import SettingsError
from starfill.quantize.calibration import CalibrationSample, sequences

CODE = "def area(width, height):\n    return width * height\n\n\n"
EOS = 0  # of the bundled model


@pytest.fixture(scope="module")
def config() -> CheckpointConfig:
    return read_config(BUNDLED)


@pytest.fixture(scope="module")
def tokenizer(config: CheckpointConfig) -> CheckpointTokenizer:
    return CheckpointTokenizer.from_folder(BUNDLED, 0)


def text_of(tokenizer: CheckpointTokenizer, ids: list[int]) -> str:
    return b"".join(tokenizer.token_bytes[id] for id in ids).decode()


def jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_default_is_the_same_every_time_and_of_the_asked_size(config: CheckpointConfig) -> None:
    found = sequences(None, config, CalibrationSample(6, 200))
    assert [len(ids) for ids in found] == [200] * 6
    assert found == sequences(None, config, CalibrationSample(6, 200))
    assert found != sequences(None, config, CalibrationSample(6, 200, seed=1))


def test_a_text_file_is_cut_at_line_ends(
    tmp_path: Path, config: CheckpointConfig, tokenizer: CheckpointTokenizer
) -> None:
    (tmp_path / "text.py").write_text(CODE * 60)
    found = sequences(tmp_path / "text.py", config, CalibrationSample(3, 64))
    text = text_of(tokenizer, [id for ids in found for id in ids if id != EOS])
    assert len(found) == 3
    assert set(text.splitlines()[:-1]) == set(CODE.splitlines())


@pytest.mark.parametrize("key", ["text", "content"])
def test_jsonl_of_texts(key: str, tmp_path: Path, config: CheckpointConfig, tokenizer: CheckpointTokenizer) -> None:
    path = jsonl(tmp_path / "texts.jsonl", *({key: f"value_{n} = {n}\n" * 8, "path": "x.py"} for n in range(40)))
    found = sequences(path, config, CalibrationSample(4, 100))
    text = text_of(tokenizer, [id for ids in found for id in ids if id != EOS])
    assert len(found) == 4
    assert any(EOS in ids for ids in found)  # between texts
    assert len(set(re.findall(r"value_(\d+) =", text))) > 3


def test_jsonl_of_ids_is_taken_as_it_is(tmp_path: Path, config: CheckpointConfig) -> None:
    path = jsonl(tmp_path / "ids.jsonl", {"ids": [1, 2, 3]}, {"ids": [4, 5]}, {"ids": [6]})
    assert sequences(path, config, CalibrationSample(2, 2)) == [[1, 2], [4, 5]]


def test_a_folder_of_source_files(tmp_path: Path, config: CheckpointConfig, tokenizer: CheckpointTokenizer) -> None:
    for name, text in {
        "a.py": "alpha = 1\n",
        "inner/b.rs": "let beta = 2;\n",
        ".git/c.py": "hidden = 3\n",
        "tests/d.py": "tested = 4\n",
        "e.bin": "zero\0byte\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text * 200)
    (tmp_path / "latin1.py").write_bytes(b"caf\xe9 = 5\n" * 200)
    ids = sequences(tmp_path, config, CalibrationSample(20, 64))
    text = text_of(tokenizer, [id for sequence in ids for id in sequence if id != EOS])
    assert "alpha" in text and "beta" in text
    assert not any(word in text for word in ("hidden", "tested", "zero", "caf"))


def test_a_model_whose_tokenizer_adds_bos_is_calibrated_with_it(tmp_path: Path) -> None:
    for name in ("config.json", "quantize_config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((BUNDLED / name).read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"add_bos_token": true}')
    raw = json.loads((tmp_path / "config.json").read_text()) | {"bos_token_id": 7}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    found = sequences(None, read_config(tmp_path), CalibrationSample(3, 50))
    assert [(ids[0], len(ids)) for ids in found] == [(7, 50)] * 3


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.txt", None, "doesn't exist"),
        ("short.txt", "x = 1\n", "shorter than one sequence of 64 tokens"),
        ("empty.txt", "", "shorter than one sequence"),
        ("empty.jsonl", "\n\n", "is empty"),
        ("bad.jsonl", '{"text": "a"}\n{"text": \n', "line 2"),
        ("list.jsonl", "[1]\n", "line 1"),
        ("other.jsonl", '{"prompt": "a"}\n', '"text" or "content"'),
        ("ids.jsonl", '{"ids": [1]}\n{"ids": [8192]}\n', "token ids from 0 to 8191"),
        ("ids.jsonl", '{"ids": [true]}\n', "line 1"),
        ("ids.jsonl", '{"ids": []}\n', "line 1"),
        ("latin1.txt", b"caf\xe9", "UTF-8"),
    ],
)
def test_one_sentence_for_what_cant_be_used(
    name: str, content: str | bytes | None, said: str, tmp_path: Path, config: CheckpointConfig
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsError) as error:
        sequences(path, config, CalibrationSample(2, 64))
    assert said in str(error.value) and str(path) in str(error.value)
