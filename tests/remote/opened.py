"""Engines opened as the server opens them, and jobs for them in plain text."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import starfill
from starfill.app.remote_engine import open_engine
from starfill.assist.prompts.family import Dialect
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.config.settings import Settings
from starfill.jobs import Job, Priority, Result, Sampling, never
from starfill.remote.engine import RemoteEngine

BUNDLED = Path(starfill.__file__).parent / "bundled" / "model"
KINDS = ("vllm", "sglang", "openai", "tgi", "llama.cpp")
PATIENCE = 15.0  # seconds; other work may occupy the machine


@dataclass(frozen=True)
class Opened:
    engine: RemoteEngine
    tokenizer: CheckpointTokenizer
    dialect: Dialect

    def text(self, ids: tuple[int, ...]) -> str:
        return b"".join(self.tokenizer.token_bytes[id] for id in ids).decode()

    def job(
        self,
        prompt: str = "x = ",
        begins: str = "",
        *,
        key: str = "file:///a.py",
        most: int = 64,
        priority: Priority = Priority.COMPLETION,
        sampling: Sampling | None = None,
        on_token: Callable[[int, int], bool] = never,
        candidates: int = 1,
    ) -> Job:
        return Job(
            key=key,
            ids=self.tokenizer.encode(prompt),
            max_new_tokens=most,
            stop_ids=self.dialect.stop_ids,
            sampling=sampling or Sampling(),
            priority=priority,
            begins=tuple(self.tokenizer.encode(begins)),
            on_token=on_token,
            candidates=candidates,
        )

    def ask(self, prompt: str = "x = ", begins: str = "", **more: Any) -> Result:
        return self.engine.submit(self.job(prompt, begins, **more)).future.result(PATIENCE)

    def answer(self, prompt: str = "x = ", begins: str = "", **more: Any) -> str:
        """The text of the first candidate."""
        return self.text(self.ask(prompt, begins, **more).candidates[0])


def open_at(url: str, **settings: Any) -> Opened:
    return Opened(*open_engine(Settings(engine_url=url, **settings), BUNDLED))


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> float:
    """Waits until it holds; answers after how many seconds it did."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "It never came to that"
        time.sleep(0.001)
    return time.monotonic() - began
