"""OpenAI's completions API as serving engines have it: https://platform.openai.com/docs/api-reference/completions

vLLM and SGLang take more than that: the prompt as token ids, token ids to stop at, and the samplers that a model's own
generation_config.json would otherwise bring. https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starfill.engine.remote.kinds.kind import Ask, Piece, count_of, text_of

FINISHES = {"stop": "stop", "length": "length", "eos": "stop"}  # "abort" is a failure: what it cut off is no answer


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

    def read(self, event: Mapping[str, Any]) -> Piece:
        usage = event.get("usage") or {}
        details = usage.get("prompt_tokens_details") or {}
        prompt, cached = count_of(usage.get("prompt_tokens")), count_of(details.get("cached_tokens"))
        choices = event["choices"]
        if not choices:  # the last event, with the usage alone
            return Piece(prompt_tokens=prompt, cached_tokens=cached)
        choice = choices[0]
        finish = choice.get("finish_reason")
        return Piece(
            text=text_of(choice.get("text") or ""),
            finish=None if finish is None else FINISHES[finish],
            prompt_tokens=prompt,
            cached_tokens=cached,
        )


class Vllm(OpenAI):
    """vLLM, and SGLang, which takes the same."""

    name = "vllm"
    takes_ids = True

    def body(self, ask: Ask) -> dict[str, Any]:
        return {
            **super().body(ask),
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": sorted(ask.stop_ids),
            "stream_options": {"include_usage": True},
        }


class Sglang(Vllm):
    name = "sglang"


class LlamaCppPython(OpenAI):
    """The server of llama-cpp-python, which by itself punishes what it has written before and drops unlikely tokens."""

    name = "llama-cpp-python"

    def body(self, ask: Ask) -> dict[str, Any]:
        return {**super().body(ask), "repeat_penalty": 1.0, "top_k": 0, "min_p": 0.0}
