"""What a checkpoint's smaller files say of its special tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from starfill.checkpoint.special import Special, read_special
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.errors import CheckpointError
from tiny_tokenizers import load, sentencepiece

RAW = json.loads(sentencepiece(("<s>", "</s>", "<end>")))
BOS_FIRST = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
}


def read(folder: Path, tokenizer: CheckpointTokenizer | None = None, **files: Any) -> Special:
    """files: by their names without an ending, as objects; a string is written as it is."""
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"} | files.pop("config", {})))
    for name, value in files.items():
        if isinstance(value, str):
            (folder / f"{name}.jinja").write_text(value, encoding="utf-8")
        else:
            (folder / f"{name}.json").write_text(json.dumps(value))
    return read_special(folder, tokenizer or load(RAW))


def test_a_folder_with_nothing_but_the_config(tmp_path: Path) -> None:
    assert read(tmp_path) == Special(None, None, frozenset(), None)


@pytest.mark.parametrize(
    ("files", "eos"),
    [
        ({"config": {"eos_token_id": 2}}, {2}),
        ({"generation_config": {"eos_token_id": [2, 3]}}, {2, 3}),
        ({"config": {"eos_token_id": 2}, "generation_config": {"eos_token_id": 3}}, {2, 3}),
        ({"tokenizer_config": {"eos_token": "<end>"}}, {3}),
        ({"special_tokens_map": {"eos_token": {"content": "</s>", "lstrip": False}}}, {2}),
        ({"special_tokens_map": {"eos_token": "</s>"}, "tokenizer_config": {"eos_token": "<end>"}}, {3}),
        ({"tokenizer_config": {"eos_token": None}}, set()),
        ({"tokenizer_config": {"eos_token": "<not there>"}}, set()),
        ({"config": {"eos_token_id": 10**6}, "generation_config": {"eos_token_id": None}}, set()),
    ],
)
def test_eos(tmp_path: Path, files: dict[str, Any], eos: set[int]) -> None:
    assert read(tmp_path, **files).eos == eos


@pytest.mark.parametrize(
    ("config", "post", "bos"),
    [
        ({"bos_token": "<s>", "add_bos_token": True}, None, "<s>"),
        ({"bos_token": "<s>", "add_bos_token": False}, BOS_FIRST, None),
        ({"bos_token": "<s>"}, BOS_FIRST, "<s>"),
        ({"bos_token": "<s>"}, {"type": "Sequence", "processors": [{"type": "ByteLevel"}, BOS_FIRST]}, "<s>"),
        ({"bos_token": "<s>"}, None, None),
        ({"bos_token": {"content": "<s>"}, "add_bos_token": True}, None, "<s>"),
        ({"bos_token": "<no token>", "add_bos_token": True}, None, None),
        ({"add_bos_token": True}, None, None),
    ],
)
def test_bos(tmp_path: Path, config: dict[str, Any], post: dict[str, Any] | None, bos: str | None) -> None:
    assert read(tmp_path, load({**RAW, "post_processor": post}), tokenizer_config=config).bos == bos


def test_the_chat_template_stands_in_one_of_two_files(tmp_path: Path) -> None:
    assert read(tmp_path, chat_template="{{ 'a' }}").chat_template == "{{ 'a' }}"
    assert read(tmp_path, tokenizer_config={"chat_template": "{{ 'b' }}"}).chat_template == "{{ 'b' }}"
    several = [{"name": "default", "template": "[INST]"}, {"name": "tool_use", "template": "x"}]
    assert "[INST]" in str(read(tmp_path, tokenizer_config={"chat_template": several}).chat_template)


def test_a_checkpoint_may_say_its_family(tmp_path: Path) -> None:
    assert read(tmp_path, config={"starfill_family": "starcoder2"}).family == "starcoder2"


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json can't be read as JSON"):
        read(tmp_path)
