"""The recipe's tokenizer, trained here on a few lines."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizer import SPECIAL_TOKENS, encode_text, load, save, train

TEXTS = ["def add(a, b):\n    return a + b\n", "for i in range(1024):\n    print(i, 'ok')\n"] * 20
TOKENIZER = train(iter(TEXTS), 300)
TOKENIZER.encode_special_tokens = True


def test_special_tokens_have_starcoders_ids() -> None:
    assert [TOKENIZER.token_to_id(t) for t in SPECIAL_TOKENS] == list(range(19))
    assert SPECIAL_TOKENS[:6] == [
        "<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>"
    ]  # fmt: skip


@given(st.text(max_size=60))
def test_every_text_comes_back(text: str) -> None:
    assert TOKENIZER.decode(encode_text(TOKENIZER, text)) == text


def test_digits_are_single_tokens() -> None:
    assert len(encode_text(TOKENIZER, "1024")) == 4


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_text_never_becomes_a_special_token(token: str, tmp_path: Path) -> None:
    save(TOKENIZER, tmp_path, n_positions=64)
    assert min(encode_text(load(tmp_path), f"x = '{token}'")) >= len(SPECIAL_TOKENS)
