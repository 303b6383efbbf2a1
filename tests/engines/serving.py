"""Serving engines as processes of their own, with the bundled model in the form that each of them reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from load.process import Running
from peers import dense
from peers.llama_build import PROGRAMS
from starfill.config.folders import BUNDLED
from starfill.config.settings import Settings

LLAMA_SERVER = PROGRAMS / "llama-server"
VLLM_PROGRAM = Path(os.environ.get("STARFILL_VLLM", "vllm")).absolute()  # of an environment of its own
Command = Callable[[Path, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Engine:
    """form: of the bundled model, "gguf" or "dense". here: whether it is installed. command(model, port).

    ready: a path that answers once it can be asked. settings(model): what Starfill is told besides the address.
    reads_ids: is sent token ids. forced: can be told how an answer begins.
    """

    name: str
    form: str
    here: Callable[[], bool]
    command: Command
    ready: str
    settings: Callable[[Path], Mapping[str, Any]]
    reads_ids: bool = False
    forced: bool = False

    @property
    def id(self) -> str:
        return self.name.replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Models:
    """The bundled model in full: gguf for llama.cpp, dense for `transformers`, both in float16."""

    gguf: Path
    dense: Path

    @classmethod
    def write(cls, folder: Path) -> Models:
        from peers import gguf_file  # needs the package gguf

        gguf = gguf_file.write(BUNDLED, folder / "starfill-bundled.gguf")
        return cls(gguf, dense.write(BUNDLED, folder / "starfill-bundled"))

    def of(self, engine: Engine) -> Path:
        return self.gguf if engine.form == "gguf" else self.dense


def needed(here: bool, what: str) -> None:
    """Skips what can't be run, which is a failure where STARFILL_ENGINES_REQUIRED is set."""
    if here:
        return
    reason = f"{what} isn't installed: make test-engines"
    if os.environ.get("STARFILL_ENGINES_REQUIRED"):
        pytest.fail(reason)
    pytest.skip(reason)


def start(engine: Engine, models: Models, log: Path) -> Running:
    """Ready to be asked."""
    model = models.of(engine)
    running = Running(lambda port: engine.command(model, port), engine.ready, log)
    try:
        running.wait()
    except RuntimeError:
        running.kill()
        raise
    return running


def settings(engine: Engine, models: Models, running: Running) -> Settings:
    return Settings(engine_url=running.url, engine_family="starfill", **engine.settings(models.of(engine)))


def _llama_server(model: Path, port: int) -> Sequence[str]:
    options = ["--threads", "1", "--parallel", "4", "--ctx-size", "4096", "--no-kv-unified"]
    return [str(LLAMA_SERVER), "--model", str(model), "--host", "127.0.0.1", "--port", str(port), *options]


def _llama_cpp_python(model: Path, port: int) -> Sequence[str]:
    options = ["--n_ctx", "1024", "--n_threads", "1"]
    module = [sys.executable, "-m", "llama_cpp.server"]
    return [*module, "--model", str(model), "--host", "127.0.0.1", "--port", str(port), *options]


def _transformers(model: Path, port: int) -> Sequence[str]:
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model)]
    return [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]


def _vllm(model: Path, port: int) -> Sequence[str]:
    options = ["--dtype", "float32", "--enforce-eager", "--max-model-len", "1024", "--enable-prompt-tokens-details"]
    options += ["--block-size", "32"]  # tokens, the least that it takes on a CPU
    memory = "VLLM_CPU_KVCACHE_SPACE=1"  # GiB; by itself it takes a share of all there is
    return ["env", memory, str(VLLM_PROGRAM), "serve", str(model), "--host", "127.0.0.1", "--port", str(port), *options]


def has(*modules: str) -> Callable[[], bool]:
    return lambda: all(find_spec(module) is not None for module in modules)


LLAMA_HERE = LLAMA_SERVER.exists
LENGTH = {"context_tokens": 1024}  # for those that don't say it
WITH_IDS = {"engine_tokenizer": "bundled"}
LLAMA = Engine(
    "llama.cpp",
    "gguf",
    LLAMA_HERE,
    _llama_server,
    "/health",
    lambda _: WITH_IDS,
    reads_ids=True,
    forced=True,
)
LLAMA_AS_TEXT = Engine("llama.cpp as text", "gguf", LLAMA_HERE, _llama_server, "/health", lambda _: {}, forced=True)
LLAMA_CPP_PYTHON = Engine(
    "llama_cpp.server", "gguf", has("llama_cpp", "starlette_context"), _llama_cpp_python, "/v1/models", lambda _: LENGTH
)
TRANSFORMERS = Engine(
    "transformers serve",
    "dense",
    has("fastapi", "uvicorn", "openai"),
    _transformers,
    "/health",
    # Its list of models is that of the hub's cache, in which a folder isn't.
    lambda model: {"engine_kind": "openai", "engine_model": str(model), **LENGTH},
)
VLLM = Engine("vllm", "dense", VLLM_PROGRAM.exists, _vllm, "/health", lambda _: WITH_IDS, reads_ids=True, forced=True)
ENGINES = (LLAMA, LLAMA_AS_TEXT, LLAMA_CPP_PYTHON, TRANSFORMERS, VLLM)
