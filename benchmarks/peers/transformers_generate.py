"""`generate` of `transformers`, in a process of its own: what a script does that keeps nothing between two questions.

Run as a program it is that process: a folder and a dtype are its arguments. It reads {"ids", "tokens"} a line, and
writes a line for the first token and one at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ != "__main__":
    from peers.peer import Answer, Ask
    from traces.typist import Change


class TransformersGenerate:
    name = "transformers"

    def __init__(self, folder: Path, dtype: str) -> None:
        """folder: an unquantized checkpoint. dtype: "float32" or "bfloat16"."""
        pipe = subprocess.PIPE
        command = [sys.executable, __file__, str(folder), dtype]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        ready = self._read()
        self.weight_bytes, self.kv_bytes = ready["weight_bytes"], ready["kv_bytes"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def open(self, uris: Sequence[str], texts: Sequence[str]) -> None: ...

    def edit(self, document: int, change: Change) -> None: ...

    def complete(self, ask: Ask) -> Answer:
        assert self._process.stdin is not None
        began = time.perf_counter()
        self._process.stdin.write(json.dumps({"ids": ask.prompt.ids, "tokens": ask.tokens}) + "\n")
        self._process.stdin.flush()
        self._read()
        first_ms = (time.perf_counter() - began) * 1e3
        generated = self._read()["generated"]
        whole_ms = (time.perf_counter() - began) * 1e3
        length = len(ask.prompt.ids)
        return Answer(first_ms, whole_ms, length, length, generated, generated - 1)

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"The process of transformers ended, with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def serve(folder: str, dtype: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.generation.streamers import BaseStreamer

    model = AutoModelForCausalLM.from_pretrained(folder).to(getattr(torch, dtype)).eval()

    def say(**values: int) -> None:
        print(json.dumps(values), flush=True)

    class First(BaseStreamer):
        """Says when the first token is there; the prompt comes before it."""

        def __init__(self) -> None:
            self.calls = 0

        def put(self, value: torch.Tensor) -> None:
            self.calls += 1
            if self.calls == 2:
                say(first=1)

        def end(self) -> None: ...

    size, config = model.dtype.itemsize, model.config
    read = model.num_parameters() - model.transformer.wpe.weight.numel()
    head = config.hidden_size // config.num_attention_heads
    say(weight_bytes=read * size, kv_bytes=2 * config.num_hidden_layers * head * size)
    for line in sys.stdin:
        asked = json.loads(line)
        ids = torch.tensor([asked["ids"]])
        exactly = {"min_new_tokens": asked["tokens"], "max_new_tokens": asked["tokens"]}
        with torch.inference_mode():
            mask = torch.ones_like(ids)
            made = model.generate(
                ids, attention_mask=mask, do_sample=False, pad_token_id=0, streamer=First(), **exactly
            )
        say(generated=made.shape[1] - ids.shape[1])


if __name__ == "__main__":
    serve(*sys.argv[1:])
