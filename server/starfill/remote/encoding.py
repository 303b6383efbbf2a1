"""Conversion of a job's token ids to what an engine takes, and of its text to token ids.

For an engine that only takes text, control tokens are written out. Text of a user's file that looks like a control
token gets a space after its first character: to no tokenizer is `< fim_middle>` a control token.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

PIPED = r"<[|｜][^\s<>|｜]{1,32}[|｜]>"  # of any family: an engine's model may have more control tokens than we know

_decoder = partial(codecs.getincrementaldecoder("utf-8"), "replace")


class Vocabulary(Protocol):
    """A tokenizer. `checkpoint.tokenizer.Tokenizer` is one."""

    @property
    def token_bytes(self) -> Sequence[bytes]: ...

    @property
    def special(self) -> Mapping[str, int]: ...

    def encode(self, text: str, *, start: bool = False) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt to send. rest: the bytes of an unfinished character at its end, with which the answer has to begin.

    after: for a text, where its last control token ends.
    """

    prompt: str | Sequence[int]
    rest: bytes = b""
    after: int = 0


class PromptEncoder:
    """takes_ids: the engine takes ids, and they are the vocabulary's own.

    bos: the token that the engine itself puts before a text.
    """

    def __init__(self, vocabulary: Vocabulary, takes_ids: bool, bos: int | None) -> None:
        self._vocabulary, self.takes_ids, self._bos = vocabulary, takes_ids, bos
        self._controls = {id: text for text, id in vocabulary.special.items()}
        looks = sorted((text.lstrip("▁") for text in vocabulary.special), key=len, reverse=True)
        self._looks = re.compile("|".join((*(re.escape(text) for text in looks if len(text) > 1), PIPED)))

    def prompt(self, ids: Sequence[int]) -> EncodedPrompt:
        if self.takes_ids:
            kept = self._whole(ids)
            return EncodedPrompt(tuple(ids[:kept]), self.bytes(ids[kept:]))
        return self._text(ids[1:] if ids[0] == self._bos else ids)

    def longer(self, encoded: EncodedPrompt, more: bytes) -> EncodedPrompt:
        """The prompt with more bytes at its end; they begin with its `rest`."""
        text = more.decode("utf-8", "replace")
        if isinstance(encoded.prompt, str):
            # A text that looks like a control token may have begun in the prompt.
            return EncodedPrompt(
                encoded.prompt[: encoded.after] + self._harmless(encoded.prompt[encoded.after :] + text)
            )
        return EncodedPrompt((*encoded.prompt, *self._vocabulary.encode(text)))

    def bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join(self._vocabulary.token_bytes[id] for id in ids)

    def ids(self, text: str) -> list[int]:
        return self._vocabulary.encode(text)

    def _text(self, ids: Iterable[int]) -> EncodedPrompt:
        parts, decoder = [], _decoder()
        run = ""
        for id in ids:
            if (control := self._controls.get(id)) is None:
                run += decoder.decode(self._vocabulary.token_bytes[id])
            else:
                parts += [self._harmless(run), control]
                run, decoder = "", _decoder()
        rest, _ = decoder.getstate()
        before = "".join(parts)
        return EncodedPrompt(before + self._harmless(run), rest, len(before))

    def _whole(self, ids: Sequence[int]) -> int:
        """How many ids there are up to the last place where no character is cut in two."""
        decoder = _decoder()
        for count in range(len(ids), 0, -1):
            decoder.reset()
            decoder.decode(self.bytes(ids[max(0, count - 4) : count]))
            if not decoder.getstate()[0] or ids[count - 1] in self._controls:
                return count
        return len(ids)

    def _harmless(self, text: str) -> str:
        return self._looks.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
