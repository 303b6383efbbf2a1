"""OpenAI's completions API in the form that serving engines have:
https://platform.openai.com/docs/api-reference/completions

vLLM and SGLang take more: the prompt as token ids, token ids to stop at, a regular expression for the answer, and
    samplers, which a model's own generation_config.json would otherwise set.
https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html
https://docs.vllm.ai/en/stable/features/structured_outputs.html
https://docs.sglang.io/advanced_features/structured_outputs.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starfill.remote.apis.api import AnswerPart, Ask, count_of, text_of

SPECIAL = frozenset("\\.^$*+?{}[]()|/-")
ESCAPED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
FINISHES = {"stop": "stop", "length": "length", "eos": "stop"}  # "abort" is a failure: the answer was cut off


class OpenAI:
    name = "openai"
    takes_ids = False
    forces = False
    path = "/v1/completions"
    probe = "/v1/models"

    def body(self, ask: Ask) -> dict[str, Any]:
        sampling = ask.sampling
        body: dict[str, Any] = {
            "model": ask.model,
            "prompt": ask.prompt if isinstance(ask.prompt, str) else list(ask.prompt),
            "max_tokens": ask.max_tokens,
            "temperature": sampling.temperature,
            "stream": True,
        }
        if sampling.temperature > 0:
            body["top_p"] = sampling.top_p
            if sampling.seed is not None:
                body["seed"] = sampling.seed
        return body

    def read(self, event: Mapping[str, Any]) -> AnswerPart:
        usage = event.get("usage") or {}
        details = usage.get("prompt_tokens_details") or {}
        prompt, cached = count_of(usage.get("prompt_tokens")), count_of(details.get("cached_tokens"))
        choices = event["choices"]
        if not choices:  # the last event, which has only the usage
            return AnswerPart(prompt_tokens=prompt, cached_tokens=cached)
        choice = choices[0]
        finish = choice.get("finish_reason")
        return AnswerPart(
            text=text_of(choice.get("text") or ""),
            finish=None if finish is None else FINISHES[finish],
            prompt_tokens=prompt,
            cached_tokens=cached,
        )


class Vllm(OpenAI):
    """Versions before 0.11 don't know structured_outputs and ignore it; their answer may begin differently."""

    name = "vllm"
    takes_ids = True
    forces = True

    def body(self, ask: Ask) -> dict[str, Any]:
        return {
            **super().body(ask),
            **(self.forced(f"{_quoted(ask.begins)}[\\s\\S]*") if ask.begins else {}),
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": sorted(ask.stop_ids),
            "stream_options": {"include_usage": True},
        }

    def forced(self, regex: str) -> dict[str, Any]:
        """The fields that make an answer match a regular expression."""
        return {"structured_outputs": {"regex": regex}}


class Sglang(Vllm):
    """Like vLLM, but the regular expression is in another field."""

    name = "sglang"

    def forced(self, regex: str) -> dict[str, Any]:
        return {"regex": regex}


class LlamaCppPython(OpenAI):
    """The server of llama-cpp-python. By default it penalises repetition and drops unlikely tokens."""

    name = "llama-cpp-python"

    def body(self, ask: Ask) -> dict[str, Any]:
        return {**super().body(ask), "repeat_penalty": 1.0, "top_k": 0, "min_p": 0.0}


def _quoted(text: str) -> str:
    """A text as a regular expression; without \\x, after which the engines read more than two digits."""
    return "".join(f"\\{char}" if char in SPECIAL else ESCAPED.get(char, char) for char in text)
