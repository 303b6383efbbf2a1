"""A serving engine for tests: says what it is told to, fails as it is told to, and remembers what it was asked.

It speaks the APIs as the engines' documentation has them; tests/engines asks real ones.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from remote.grammars import unescaped, unquoted

Prompt = str | list[int]

TICK = 0.005  # seconds between two looks at whether the client is still there


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request for a completion.

    status, headers, body: answered instead. after: pieces that are sent before the rest happens. event: sent as an
    event then. cut: the connection is closed then. silent: nothing more is sent for as long as the client waits; pings:
    but comments, as servers send them to keep a connection open; blanks: but events without text. endless: goes on
    whatever max_tokens says. lingers: the stream stays open after the answer's end.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = "application/json"
    after: int = 0
    event: str = ""
    cut: bool = False
    silent: bool = False
    pings: bool = False
    blanks: bool = False
    endless: bool = False
    lingers: bool = False


@dataclass(frozen=True)
class Asked:
    path: str
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def prompt(self) -> Prompt:
        return self.body["inputs"] if "inputs" in self.body else self.body["prompt"]


class FakeEngine:
    """kind: vllm, sglang, openai, tgi or llama.cpp. answer(prompt) -> the text. pace: seconds between pieces of it.

    asked: the completions, in order. given_up: streams that the client closed before their end. streams: open ones.
    instead: of what it says of itself, by path. detokenize: what it has as `/detokenize`.
    """

    def __init__(
        self,
        kind: str = "vllm",
        model: str = "WizardLM/WizardCoder-Python-13B-V1.0",
        answer: Callable[[Prompt], str] = lambda prompt: "answer",
        pace: float = 0.0,
        key: str = "",
    ) -> None:
        self.kind, self.model, self.answer, self.pace, self.key = kind, model, answer, pace, key
        self.context = 4096
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None  # for each request, once `faults` are used up
        self.asked: list[Asked] = []
        self.looked: list[str] = []  # paths of all other requests
        self.given_up = 0
        self.connections = 0
        self.streams = 0
        self.passes_over = False  # what it is told of how an answer must begin
        self.detokenize: Callable[[list[int]], str] | None = None
        self.instead: dict[str, Fault] = {}
        self._port = 0
        self.lock = threading.Lock()
        self.start()

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        engine = self

        class Handler(_Handler):
            owner = engine

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self.open: set[Any] = set()
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """As if the process were killed: connections end, new ones are refused."""
        self._server.shutdown()
        self._server.server_close()
        with self.lock:
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def pieces(self, prompt: Prompt, forced: str = "") -> Iterator[str]:
        """forced: what the answer has to begin with, in place of what stands there."""
        text = self.answer(prompt)
        text = text if text.startswith(forced) else forced + text
        yield from (text[at : at + 3] for at in range(0, len(text), 3))

    def description(self, path: str) -> dict[str, Any] | None:
        owner = {"vllm": "vllm", "sglang": "sglang", "llama.cpp": "llamacpp"}.get(self.kind, "me")
        if path == "/v1/models" and self.kind != "tgi":
            entry = {"id": self.model, "object": "model", "owned_by": owner}
            return {"object": "list", "data": [entry | ({"max_model_len": self.context} if owner == "vllm" else {})]}
        if path == "/info" and self.kind == "tgi":
            return {"model_id": self.model, "max_total_tokens": self.context, "max_input_tokens": self.context - 1}
        if path == "/props" and self.kind == "llama.cpp":
            settings = {"n_ctx": self.context}
            return {"default_generation_settings": settings, "total_slots": 4, "model_path": f"/models/{self.model}"}
        if path == "/health":
            return {"status": "ok"}
        return None

    def event(self, text: str, finish: bool, cut_short: bool) -> dict[str, Any]:
        if self.kind == "tgi":
            details = {
                "finish_reason": "length" if cut_short else "eos_token",
                "generated_tokens": 1,
                "input_length": 7,
            }
            return {
                "index": 1,
                "token": {"id": 5, "text": text, "special": False},
                "details": details if finish else None,
            }
        if self.kind == "llama.cpp":
            timings = {"cache_n": 3, "prompt_n": 4}
            event = {"content": text, "stop": finish, "id_slot": 2 if finish else -1, "timings": timings}
            return event | ({"stop_type": "limit" if cut_short else "eos"} if finish else {})
        reason = ("length" if cut_short else "stop") if finish else None
        return {"id": "x", "choices": [{"index": 0, "text": text, "finish_reason": reason}]}


class _Handler(BaseHTTPRequestHandler):
    owner: FakeEngine
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        with self.owner.lock:
            self.owner.connections += 1
            self.owner.open.add(self.connection)

    def finish(self) -> None:
        with self.owner.lock:
            self.owner.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client has gone, or `stop` was called
            super().handle()

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self.owner.looked.append(self.path)
        if (fault := self.owner.instead.get(self.path)) is not None:
            self._fail(fault)
        elif self.owner.key and self.headers.get("Authorization") != f"Bearer {self.owner.key}":
            self._answer(Fault(401, body='{"error": "no"}'))
        else:
            self._json(self.owner.description(self.path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/detokenize":
            self.owner.looked.append(self.path)
            spell = self.owner.detokenize
            self._json(None if spell is None else {"content": spell(body["tokens"]), "prompt": spell(body["tokens"])})
            return
        self.owner.asked.append(Asked(self.path, body, dict(self.headers)))
        if self.owner.key and self.headers.get("Authorization") != f"Bearer {self.owner.key}":
            self._answer(Fault(401, body='{"error": "no"}'))
            return
        fault = self.owner.faults.popleft() if self.owner.faults else self.owner.always or Fault()
        with self.owner.lock:
            self.owner.streams += 1
        try:
            if fault.status != 200 or fault.body:
                self._answer(fault)
            else:
                self._stream(fault, body)
        except OSError:
            with self.owner.lock:
                self.owner.given_up += 1
            self.close_connection = True
        finally:
            with self.owner.lock:
                self.owner.streams -= 1

    def _fail(self, fault: Fault) -> None:
        if fault.silent:
            self._wait(60)
        self._answer(fault)

    def _json(self, found: dict[str, Any] | None) -> None:
        body = json.dumps(found if found is not None else {"error": "not found"})
        self._answer(Fault(200 if found is not None else 404, body=body))

    def _answer(self, fault: Fault) -> None:
        data = fault.body.encode()
        self.send_response(fault.status)
        for name, value in {"Content-Type": fault.content_type, **fault.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, fault: Fault, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        most = int(body.get("max_tokens") or body.get("n_predict") or body.get("parameters", {}).get("max_new_tokens"))
        prompt = body["inputs"] if "inputs" in body else body["prompt"]
        pieces = list(self.owner.pieces(prompt, self._forced(body)))
        number = 0
        while fault.endless or number < min(most, len(pieces)):
            if number >= fault.after and (fault.event or fault.cut or fault.silent):
                break
            if self.owner.pace or fault.endless:
                self._wait(self.owner.pace or TICK)
            self._send(self.owner.event(pieces[number % len(pieces)], False, False))
            number += 1
        if fault.event:
            self._chunk(f"data: {fault.event}\n\n")
        if fault.silent:
            while True:
                self._wait(0.02)
                if fault.pings:
                    self._chunk(": ping\n\n")
                if fault.blanks:
                    self._send(self.owner.event("", False, False))
        if fault.cut:
            raise ConnectionAbortedError
        self._send(self.owner.event("", True, most <= len(pieces)))
        if self.owner.kind in ("vllm", "sglang", "openai"):
            self._send({"choices": [], "usage": {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}})
            self._chunk("data: [DONE]\n\n")
        if fault.lingers:
            self._wait(60)
        self.wfile.write(b"0\r\n\r\n")

    def _forced(self, body: dict[str, Any]) -> str:
        """What the answer has to begin with, for those that can be told."""
        if self.owner.passes_over:
            return ""
        if self.owner.kind == "vllm":
            return unescaped(body.get("structured_outputs", {}).get("regex", ""))
        return unescaped(body.get("regex", "")) if self.owner.kind == "sglang" else unquoted(body.get("grammar", ""))

    def _wait(self, seconds: float) -> None:
        """OSError once the client has gone."""
        until = time.monotonic() + seconds
        while True:
            readable, _, _ = select.select([self.connection], [], [], min(TICK, seconds))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionResetError
            if time.monotonic() >= until:
                return

    def _send(self, event: dict[str, Any]) -> None:
        self._chunk(f"data: {json.dumps(event)}\n\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
