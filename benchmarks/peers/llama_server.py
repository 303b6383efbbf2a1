"""llama.cpp's server, with the settings that serve it best here.

Each document has a slot of its own, so nothing is ever computed again for a document that one comes back to, and
nothing is copied. "llama.cpp" is given Starfill's own prompt as tokens: what was typed then stands at the end, and its
cached prefix is as long as it can be. "llama.cpp infill" asks as editor plugins do, with prefix, suffix and the line
typed as texts; the server puts that line before the suffix, which is then computed anew with each key. KV shifting
(n_cache_reuse) isn't possible for learned positions.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from peers.llama_build import program
from peers.peer import Answer, Ask
from traces.typist import Change

PATIENCE = 900  # seconds
GREEDY = {"temperature": 0.0, "top_k": 1, "samplers": ["top_k"], "cache_prompt": True, "ignore_eos": True}


class LlamaServer:
    def __init__(self, file: Path, read: tuple[int, int], context: int, documents: int, infill: bool = False) -> None:
        """read: what `gguf_file.bytes_a_token` says of the file. context: tokens of a document.

        documents: that keep their state; of more, some share a slot.
        """
        self.name = "llama.cpp infill" if infill else "llama.cpp"
        self.weight_bytes, self.kv_bytes = read
        self._infill, self._slots = infill, documents
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        threads = str(len(os.sched_getaffinity(0)))
        options = ["--host", "127.0.0.1", "--port", str(port), "--threads", threads, "--parallel", str(documents)]
        options += ["--ctx-size", str(context * documents), "--no-kv-unified", "--cache-ram", "0", "--flash-attn", "on"]
        if infill:  # a prefix may take three quarters of a batch
            options += ["--batch-size", str(context)]
        command = [str(program("llama-server")), "--model", str(file), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def open(self, uris: Sequence[str], texts: Sequence[str]) -> None: ...

    def edit(self, document: int, change: Change) -> None: ...

    def complete(self, ask: Ask) -> Answer:
        slot = ask.document % self._slots
        wanted: dict[str, Any] = {**GREEDY, "stream": True, "n_predict": ask.tokens, "id_slot": slot}
        if self._infill:
            path, asked = "/infill", ask.prompt
            wanted |= {"input_prefix": asked.prefix, "input_suffix": asked.suffix, "prompt": asked.typed}
        else:
            path, wanted["prompt"] = "/completion", ask.prompt.ids
        self._connection.close()
        self._connection.connect()  # not timed: the server gives up a connection that was idle for some seconds
        began = time.perf_counter()
        self._connection.request("POST", path, json.dumps(wanted), {"Content-Type": "application/json"})
        events = self._events()
        last = next(events)
        first_ms = (time.perf_counter() - began) * 1e3
        for event in events:
            last = event
        whole_ms = (time.perf_counter() - began) * 1e3
        timings = last["timings"]
        computed, generated = timings["prompt_n"], timings["predicted_n"]
        prompt = computed + timings["cache_n"]
        return Answer(first_ms, whole_ms, prompt, computed, generated, generated - 1, timings["prompt_ms"])

    def close(self) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.wait()

    def _events(self) -> Iterator[dict[str, Any]]:
        """The server-sent events of a streamed answer."""
        response = self._connection.getresponse()
        if response.status != http.client.OK:
            raise SystemExit(f"llama-server answered {response.status}: {response.read().decode()}")
        for line in response:
            if line.startswith(b"data: {"):
                yield json.loads(line[len("data: ") :])

    def _wait(self) -> None:
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            if self._process.poll() is not None:
                raise SystemExit(f"llama-server ended at once, with {self._process.returncode}")
            try:
                self._connection.request("GET", "/health")
                response = self._connection.getresponse()
                response.read()
                if response.status == http.client.OK:
                    return
            except OSError:
                self._connection.close()
            time.sleep(0.1)
        raise SystemExit("llama-server isn't ready")
