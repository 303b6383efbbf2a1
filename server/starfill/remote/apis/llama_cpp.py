"""llama.cpp's server, by its own API: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md

A finished prompt is sent to `/completion` as token ids. Its `/infill` would build another prompt, in an order that
StarCoder was not trained on and that changes with each key (benchmarks/LOG.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starfill.remote.apis.api import AnswerPart, Ask, count_of, text_of

FINISHES = {"eos": "stop", "word": "stop", "limit": "length"}


class LlamaCpp:
    name = "llama.cpp"
    takes_ids = True
    forces = True
    path = "/completion"
    probe = "/health"

    def body(self, ask: Ask) -> dict[str, Any]:
        sampling = ask.sampling
        body: dict[str, Any] = {
            "prompt": ask.prompt if isinstance(ask.prompt, str) else list(ask.prompt),
            "n_predict": ask.max_tokens,
            "temperature": sampling.temperature,
            "top_k": 0,  # the server's defaults would leave out more than top_p does
            "min_p": 0.0,
            "top_p": sampling.top_p,
            "seed": -1 if sampling.seed is None else sampling.seed,
            "cache_prompt": True,
            "id_slot": -1 if ask.slot is None else ask.slot,
            "timings_per_token": True,  # with the first event, since we often close the stream before the last one
            "stream": True,
        }
        if ask.begins:
            body["grammar"] = f"root ::= {_quoted(ask.begins)} .*"
        return body

    def read(self, event: Mapping[str, Any]) -> AnswerPart:
        finish, timings = None, event.get("timings") or {}
        if event["stop"]:
            finish = FINISHES[event["stop_type"]]
        cached, computed = count_of(timings.get("cache_n")), count_of(timings.get("prompt_n"))
        return AnswerPart(
            text=text_of(event["content"]),
            finish=finish,
            prompt_tokens=None if cached is None or computed is None else cached + computed,
            cached_tokens=cached,
        )


def _quoted(text: str) -> str:
    """A text as a literal of a GBNF grammar."""
    escaped = (f"\\x{ord(char):02X}" if ord(char) < 0x20 else f"\\{char}" if char in '"\\' else char for char in text)
    return f'"{"".join(escaped)}"'
