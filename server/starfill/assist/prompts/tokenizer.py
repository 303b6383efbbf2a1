"""What `assist` needs of a tokenizer. `checkpoint.tokenizer` provides it; tests bring a toy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Tokenizer(Protocol):
    """Text to ids and back to bytes.

    encode: never yields a special token, whatever the text contains; encoding the same lines again is cheap. start: the
        text begins a sequence, where sentencepiece (Llama) writes a space before it; byte-level vocabularies don't.
    token_bytes: for each id the bytes it stands for; b"" for special tokens.
    special: the special tokens by their text, e.g. {"<fim_prefix>": 1}.
    """

    def encode(self, text: str, *, start: bool = False) -> list[int]: ...

    @property
    def token_bytes(self) -> Sequence[bytes]: ...

    @property
    def special(self) -> Mapping[str, int]: ...
