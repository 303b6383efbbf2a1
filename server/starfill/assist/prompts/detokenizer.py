"""From token ids to text while they arrive."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence


class Detokenizer:
    """Decodes the tokens of one candidate as they arrive. It holds back the bytes of an unfinished character.

    skip: the number of bytes at the start that aren't part of the answer (the healed end of the prompt).
    Bytes that aren't valid UTF-8 become U+FFFD, where `postprocess` cuts.
    """

    def __init__(self, token_bytes: Sequence[bytes], skip: int = 0) -> None:
        self._token_bytes = token_bytes
        self._skip = skip
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """The text that this token completes; "" in the middle of a character."""
        data = self._token_bytes[token]
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        return self._decoder.decode(data[skipped:])


def decode(token_bytes: Sequence[bytes], ids: Iterable[int], skip: int = 0) -> str:
    """The text of whole tokens, without the bytes of an unfinished character at the end."""
    detokenizer = Detokenizer(token_bytes, skip)
    return "".join(map(detokenizer.feed, ids))
