"""A tokenizer and an engine small enough to read: bytes, a few words, and a model that knows the answer by heart."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from starfill.assist.prompts.detect import detect
from starfill.assist.prompts.family import Dialect, Identity
from starfill.jobs import Finish, Job, ModelInfo, Priority, Result, Ticket
from starfill.text.document import Document

SPECIAL = ("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>")
WORDS = (
    *("  ", "   ", "    ", "       ", "        ", "\n ", "\n   ", "\n       ", "\n\n", "\t\t", "\r\n"),
    *("def", "return", "self", "class", "import", "for", "in", "if", "not", "None", "print", "value", "result", "re"),
    *(" =", " ==", "):", "()", "(self", "():", " def", " return", " self", " if", " in", " not", " the", "ing", "er"),
    *(
        "é",
        " é",
        "漢字",
        "😀",
        "turn",
        "ret",
        "val",
        "ue",
        "const",
        "function",
        " {",
        ");",
        "();",
        "_id",
        "name",
        " name",
    ),
)
# GPT-2's pattern, as far as Python's `re` spells it.
PRE_TOKEN = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d| ?[^\s\w]+| ?_+|\s+(?!\S)|\s+")


class ToyTokenizer:
    """Byte-level, longest match within a pre-token; ids 0-4 are special."""

    def __init__(self, special: Sequence[str] = SPECIAL) -> None:
        self.special = {text: id for id, text in enumerate(special)}
        self.token_bytes = [
            *(b"" for _ in special),
            *(bytes([byte]) for byte in range(256)),
            *(word.encode() for word in WORDS),
        ]
        self._ids = {data: id for id, data in enumerate(self.token_bytes) if data}
        self._longest = max(map(len, self._ids))
        self._word = lru_cache(4096)(self._encode_word)

    def encode(self, text: str, *, start: bool = False) -> list[int]:
        return [id for word in PRE_TOKEN.findall(text) for id in self._word(word)]

    def _encode_word(self, word: str) -> tuple[int, ...]:
        data, ids = word.encode("utf-8", "replace"), []
        while data:
            length = next(n for n in range(min(self._longest, len(data)), 0, -1) if data[:n] in self._ids)
            ids.append(self._ids[data[:length]])
            data = data[length:]
        return tuple(ids)

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(self.token_bytes[id] for id in ids).decode("utf-8", "replace")


def dialect(special: Mapping[str, int], architecture: str = "gpt_bigcode") -> Dialect:
    return detect(Identity(architecture, special, None, "toy"))


INFO = ModelInfo("toy", "none", "cpu", "none", 1024, 400, 0, 0)


@dataclass
class ByHeart:
    """An engine for which the text between prefix and suffix is always `middle`.

    It goes on from where the prompt leaves off, choosing the longest token that is allowed, and keeps one list of ids
    per key, so that its figures are those of a real cache. `gate`, when given, holds jobs until it is set. What is only
    to be done while it is idle is listed apart, in `idle`, with its answers in `ahead`.
    """

    tokenizer: ToyTokenizer
    middle: str | Callable[[Job], str]
    info: ModelInfo = INFO
    gate: threading.Event | None = None
    jobs: list[Job] = field(default_factory=list)
    idle: list[Job] = field(default_factory=list)
    ahead: list[Future[Result]] = field(default_factory=list)
    released: list[Hashable] = field(default_factory=list)
    cancelled: list[Job] = field(default_factory=list)
    cache_bytes: int | None = 0
    closed: bool = False
    _slots: dict[Hashable, Sequence[int]] = field(default_factory=dict)
    _submitted: asyncio.Future[None] | None = None

    def submit(self, job: Job) -> Ticket:
        future: Future[Result] = Future()
        if job.priority is Priority.IDLE:
            self.idle.append(job)
            self.ahead.append(future)
        else:
            self.jobs.append(job)
        if self._submitted is not None and not self._submitted.done():
            self._submitted.set_result(None)
        stopped = threading.Event()
        threading.Thread(target=self._run, args=(job, future, stopped), daemon=True).start()

        def cancel() -> None:
            if not future.done():
                self.cancelled.append(job)
            stopped.set()

        return Ticket(future, cancel)

    async def asked(self, count: int = 1) -> None:
        """Waits until there are so many jobs."""
        while len(self.jobs) < count:
            self._submitted = asyncio.get_running_loop().create_future()
            await self._submitted

    def release(self, key: Hashable) -> None:
        self.released.append(key)

    def resize(self, cache_bytes: int | None) -> None:
        self.cache_bytes = cache_bytes

    def persist(self, nbytes: int, keeps: Callable[[str], bool]) -> None:
        self.persisted = nbytes, keeps

    def watch(self, on_trouble: Callable[[str | None], None]) -> None:
        self.told = on_trouble

    def close(self) -> None:
        self.closed = True

    def _run(self, job: Job, future: Future[Result], stopped: threading.Event) -> None:
        try:
            while self.gate is not None and not self.gate.wait(0.001) and not stopped.is_set():
                pass
            answers = [self.answer(job, number, stopped) for number in range(job.candidates)]
            cached = common_prefix(self._slots.get(job.key, ()), job.ids)
            self._slots[job.key] = (*job.ids, *answers[0][0])
            future.set_result(
                Result(
                    candidates=tuple(ids for ids, _ in answers),
                    finish=tuple(finish for _, finish in answers),
                    prompt_tokens=len(job.ids),
                    cached_tokens=cached,
                    computed_tokens=len(job.ids) - cached,
                    generated_tokens=sum(len(ids) for ids, _ in answers),
                    steps=sum(len(ids) for ids, _ in answers),
                    queue_ms=0.0,
                    prefill_ms=1.0,
                    decode_ms=1.0,
                )
            )
        except Exception as error:
            future.set_exception(error)

    def answer(self, job: Job, number: int, stopped: threading.Event) -> tuple[tuple[int, ...], Finish]:
        token_bytes = self.tokenizer.token_bytes
        rest = self._rest(job)
        ids: list[int] = []
        while len(ids) < job.max_new_tokens:
            if stopped.is_set():
                return tuple(ids), Finish.CANCELLED
            allowed = job.allowed(ids) if job.allowed else None
            choice = range(len(token_bytes)) if allowed is None else allowed
            fitting = [id for id in choice if token_bytes[id] and rest.startswith(token_bytes[id])]
            if not fitting and not ids:  # healing has dropped the line end before the middle too
                rest = b"\n" + rest
                fitting = [id for id in choice if token_bytes[id] and rest.startswith(token_bytes[id])]
            if not fitting:
                return tuple(ids), Finish.STOP
            ids.append(max(fitting, key=lambda id: len(token_bytes[id])))
            rest = rest[len(token_bytes[ids[-1]]) :]
            if job.on_token(number, ids[-1]):
                return tuple(ids), Finish.STOP
        return tuple(ids), Finish.LENGTH

    def _rest(self, job: Job) -> bytes:
        """The middle without what the prompt already has of it."""
        middle = (self.middle if isinstance(self.middle, str) else self.middle(job)).encode()
        middle_sentinel = self.tokenizer.special.get("<fim_middle>")
        ids = list(job.ids)
        after = ids[ids.index(middle_sentinel) + 1 :] if middle_sentinel in ids else ids
        written = b"".join(self.tokenizer.token_bytes[id] for id in after)
        known = max(n for n in range(len(middle) + 1) if written.endswith(middle[:n]))
        return middle[known:]


class Pauses:
    """The moments before something is computed ahead: they last until the test ends them."""

    def __init__(self) -> None:
        self._lasting: list[tuple[asyncio.Task[Any] | None, asyncio.Future[None]]] = []

    async def __call__(self) -> None:
        end = asyncio.get_running_loop().create_future()
        self._lasting.append((asyncio.current_task(), end))
        await end

    async def end(self) -> None:
        """Ends those that have begun, and waits until what comes after them was submitted, or given up."""
        await asyncio.sleep(0)  # what was scheduled just now begins its own
        lasting, self._lasting = self._lasting, []
        for _, end in lasting:
            if not end.done():
                end.set_result(None)
        await asyncio.gather(*(task for task, _ in lasting if task is not None), return_exceptions=True)


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def doc(marked: str, version: int = 1, language: str = "python") -> tuple[Document, int]:
    """A document and the offset of its cursor, written as ‸."""
    offset = marked.index("‸")
    return Document.open("file:///a.py", language, version, marked.replace("‸", "")), offset
