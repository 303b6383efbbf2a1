"""The bundled model in float32, to judge what is suggested at the engine and here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.remote.encoding import PromptEncoder


class Exact:
    def __init__(self, folder: Path, tokenizer: CheckpointTokenizer) -> None:
        """folder: the dense checkpoint."""
        from transformers import AutoModelForCausalLM

        self._model = AutoModelForCausalLM.from_pretrained(folder).float().eval()
        self._tokenizer, self._bytes = tokenizer, tokenizer.token_bytes
        self._encoder = PromptEncoder(tokenizer, False, None)

    def surprise(self, prompt: Sequence[int], answer: bytes, begins: bytes = b"") -> float:
        """By how many nats, at most, a token of the answer was less likely than the one that is greedy there.

        begins: what the answer had to begin with.
        """
        worst, ids, at = 0.0, list(prompt), 0
        while at < len(answer):
            with torch.inference_mode():
                logits = self._model(torch.tensor([ids])).logits[0, -1]
            wanted = begins[at:]
            could = [id for id, data in enumerate(self._bytes) if data and agree(data, wanted)] if wanted else None
            follows = [id for id in could or range(len(self._bytes)) if self._is(id, answer, at)]
            best = max(follows, key=lambda id: float(logits[id]))
            worst = max(worst, float((logits if could is None else logits[could]).max() - logits[best]))
            ids, at = [*ids, best], at + len(self._bytes[best])
        return worst

    def as_read(self, prompt: Sequence[int], more: bytes = b"") -> list[int]:
        """The ids that an engine makes of the prompt as text: it cuts across the seams that the parts have here."""
        text = self._encoder.longer(self._encoder.prompt(prompt), more).prompt
        assert isinstance(text, str)
        ids: list[int] = []
        run = ""
        while text:
            control = next((each for each in self._tokenizer.special if text.startswith(each)), None)
            if control is None:
                run, text = run + text[0], text[1:]
            else:
                ids += [*self._tokenizer.encode(run), self._tokenizer.special[control]]
                run, text = "", text.removeprefix(control)
        return ids + self._tokenizer.encode(run)

    def _is(self, id: int, answer: bytes, at: int) -> bool:
        return bool(self._bytes[id]) and answer.startswith(self._bytes[id], at)


def agree(one: bytes, other: bytes) -> bool:
    """One begins with the other."""
    return one.startswith(other) or other.startswith(one)
