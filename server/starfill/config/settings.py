"""The settings: one frozen dataclass, with the JSON name, the check and the documentation of each field."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from starfill.config.checks import (
    INSTRUCTIONS,
    TEXT,
    TEXTS,
    Allowed,
    OwnInstruction,
    number,
    one_of,
    one_of_values,
    own_instructions,
    text,
    text_or_nothing,
    texts,
    whole,
    yes_or_no,
)
from starfill.config.choices import FAMILY_NAMES, Layout

Device = Literal["auto", "cpu", "cuda"]
MultiLine = Literal["auto", "never", "always"]
EngineKind = Literal["auto", "openai", "vllm", "sglang", "tgi", "llama.cpp", "llama-cpp-python"]
EngineUse = Literal["all", "completions", "actions"]


def about(allowed: Allowed, description: str, json_name: str = "") -> dict[str, Any]:
    """json_name: the name in JSON if it isn't the field's name in camelCase; a dot in it makes a section."""
    return {"allowed": allowed, "description": description, "json_name": json_name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. In JSON their names are camelCase, in the section `starfill`."""

    model: str = field(
        default="bundled",
        metadata=about(
            Allowed('"bundled", the path of a checkpoint folder or the name of a pulled repository', text, TEXT),
            "The model: the small one that comes with Starfill, or any GPTQ or safetensors checkpoint.",
        ),
    )
    device: Device = field(
        default="auto",
        metadata=about(one_of(Device), "Where the model runs; `auto` takes a GPU when there is one."),
    )
    family: str = field(
        default="auto",
        metadata=about(
            one_of_values("auto", *FAMILY_NAMES),
            "The family of the model, which decides its prompts; `auto` tells it from the model's files.",
        ),
    )
    layout: str = field(
        default="auto",
        metadata=about(
            one_of_values("auto", *(layout.value for layout in Layout)),
            "The order of a prompt's parts; `auto` takes the best one for the model.",
        ),
    )
    context_tokens: int = field(
        default=0,
        metadata=about(
            whole(0, 1_048_576),
            "The longest prompt, in tokens; 0 means as many as the model allows, up to 2048 (code actions: 8192).",
        ),
    )
    max_new_tokens: int = field(default=64, metadata=about(whole(1, 4096), "The longest suggestion, in tokens."))
    multi_line: MultiLine = field(
        default="auto",
        metadata=about(
            one_of(MultiLine),
            "Whether a suggestion may have several lines; `auto` decides by where the cursor is.",
        ),
    )
    temperature: float = field(
        default=0.0,
        metadata=about(number(0, 2), "0 always takes the likeliest token; more makes suggestions more varied."),
    )
    top_p: float = field(
        default=0.95,
        metadata=about(number(0.01, 1), "With a temperature: draws from the likeliest tokens up to this probability."),
    )
    candidates: int = field(
        default=1,
        metadata=about(whole(1, 8), "How many different suggestions to compute, when asked for explicitly."),
    )
    cache_bytes: int = field(
        default=0,
        metadata=about(
            whole(0, 2**40),
            "Memory for the key/value state of open documents, in bytes; 0 takes enough for eight of them, up to a "
            "quarter of the free memory (half of a GPU's).",
        ),
    )
    saved_state_bytes: int = field(
        default=0,
        metadata=about(
            whole(0, 2**40),
            "Disk space to keep the state of recent documents for the next start, in bytes; it holds source code. "
            "0 saves nothing.",
        ),
    )
    enabled: bool = field(
        default=True,
        metadata=about(yes_or_no(), "Whether to suggest completions; code actions work in any case."),
    )
    disabled_languages: tuple[str, ...] = field(
        default=(),
        metadata=about(
            Allowed("a list of language identifiers", texts, TEXTS),
            "Languages in which no completions are suggested; code actions work there too.",
        ),
    )
    enabled_languages: tuple[str, ...] = field(
        default=("*",),
        metadata=about(
            Allowed("a list of language identifiers", texts, TEXTS), 'Languages to work in; `"*"` means all.'
        ),
    )
    excluded_globs: tuple[str, ...] = field(
        default=(),
        metadata=about(
            Allowed("a list of globs", texts, TEXTS),
            'Files that are never read, like `"**/*.env"` or `"secrets"` (all in a folder of that name).',
        ),
    )

    instruct_model: str = field(
        default="",
        metadata=about(
            Allowed("as for `model`, or empty", text_or_nothing, TEXT),
            "The model of the code actions, loaded with the first of them; empty: the one that completes does both.",
            "instruct.model",
        ),
    )
    engine_url: str = field(
        default="",
        metadata=about(
            Allowed("the address of a server, or empty", text_or_nothing, TEXT),
            "A serving engine that answers instead of a model in this process, like `http://127.0.0.1:8000`: vLLM, "
            "SGLang, TGI, llama.cpp's server. For one on another machine you are asked first, since your code is sent "
            "there.",
            "engine.url",
        ),
    )
    engine_kind: EngineKind = field(
        default="auto",
        metadata=about(one_of(EngineKind), "Which API the engine has; `auto` asks it.", "engine.kind"),
    )
    engine_model: str = field(
        default="",
        metadata=about(
            Allowed("text, or empty", text_or_nothing, TEXT), "Its model, where it has several.", "engine.model"
        ),
    )
    engine_family: str = field(
        default="auto",
        metadata=about(
            one_of_values("auto", *FAMILY_NAMES),
            "As `family`, for the engine's model; `auto` tells it from its name.",
            "engine.family",
        ),
    )
    engine_tokenizer: str = field(
        default="",
        metadata=about(
            Allowed("as for `model`, or empty", text_or_nothing, TEXT),
            "A model on this machine with the same tokenizer, so that token ids can be sent; empty: the engine's own "
            "model if it was pulled, else text is sent.",
            "engine.tokenizer",
        ),
    )
    engine_api_key_env: str = field(
        default="",
        metadata=about(
            Allowed("the name of an environment variable, or empty", text_or_nothing, TEXT),
            "The environment variable that holds the engine's key.",
            "engine.apiKeyEnv",
        ),
    )
    engine_api_key_file: str = field(
        default="",
        metadata=about(
            Allowed("the path of a file, or empty", text_or_nothing, TEXT),
            "A file that holds the key, and that nobody else may read.",
            "engine.apiKeyFile",
        ),
    )
    engine_use: EngineUse = field(
        default="all",
        metadata=about(
            one_of(EngineUse), "What the engine answers; the rest is answered by `model` on this machine.", "engine.use"
        ),
    )
    engine_latency_budget_ms: int = field(
        default=0,
        metadata=about(
            whole(0, 60_000),
            "After how many milliseconds `model` on this machine suggests instead, and at once while the engine can't "
            "be reached; 0 loads no model here.",
            "engine.latencyBudgetMs",
        ),
    )
    instructions: tuple[OwnInstruction, ...] = field(
        default=(),
        metadata=about(
            Allowed("a list of objects", own_instructions, INSTRUCTIONS),
            "Code actions of your own: `title` and `instruction`; `placement` of the answer (`replace`, "
            "`insert-before`, `insert-after` or `show`), `kind` and `languages` if wanted.",
        ),
    )

    @property
    def cache_budget(self) -> int | None:
        """Bytes for KV states; None for a budget that suits the models and the machine."""
        return self.cache_bytes or None

    @property
    def completes_remotely(self) -> bool:
        return bool(self.engine_url) and self.engine_use != "actions"

    @property
    def acts_remotely(self) -> bool:
        """A model of their own that is set for the actions is one on this machine."""
        return bool(self.engine_url) and self.engine_use != "completions" and not self.instruct_model

    @property
    def own_instruct_model(self) -> str:
        """The model, or the engine's address, that carries out actions if it isn't the one that completes; else ""."""
        if self.acts_remotely:
            return "" if self.completes_remotely else self.engine_url
        wanted = self.instruct_model or self.model
        is_here = not self.completes_remotely or self.engine_latency_budget_ms > 0
        return "" if wanted == self.model and is_here else wanted

    @property
    def engine(self) -> tuple[object, ...]:
        """Determines whether another engine is needed, or another use of it."""
        if not self.engine_url:
            return ()
        names = [item.name for item in fields(self) if item.name.startswith("engine_")]
        values = {name: getattr(self, name) for name in names}
        return tuple((values | {"engine_latency_budget_ms": bool(self.engine_latency_budget_ms)}).values())
