"""Text Generation Inference's own API: https://huggingface.github.io/text-generation-inference/

It takes only text, and says of each token whether it is special.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starfill.remote.apis.api import AnswerPart, Ask, count_of, text_of

FINISHES = {"eos_token": "stop", "stop_sequence": "stop", "length": "length"}


class Tgi:
    name = "tgi"
    takes_ids = False
    forces = False
    path = "/generate_stream"
    probe = "/health"

    def body(self, ask: Ask) -> dict[str, Any]:
        sampling = ask.sampling
        parameters: dict[str, Any] = {
            "max_new_tokens": ask.max_tokens,
            "do_sample": sampling.temperature > 0,
            "return_full_text": False,
            "details": True,
        }
        if sampling.temperature > 0:
            parameters["temperature"] = sampling.temperature
            if sampling.top_p < 1:  # 1 is rejected
                parameters["top_p"] = sampling.top_p
            if sampling.seed is not None:
                parameters["seed"] = sampling.seed
        return {"inputs": ask.prompt, "parameters": parameters, "stream": True}

    def read(self, event: Mapping[str, Any]) -> AnswerPart:
        token = event["token"]
        details = event.get("details") or {}
        finish = details.get("finish_reason")
        if token.get("special"):  # one that doesn't end the text for the engine ends it for us
            return AnswerPart(finish="stop", prompt_tokens=count_of(details.get("input_length")))
        return AnswerPart(
            text=text_of(token["text"]),
            finish=None if finish is None else FINISHES[finish],
            prompt_tokens=count_of(details.get("input_length")),
        )
