"""What an engine says of itself: its kind, its model, the length of its context."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from starfill.errors import EngineError, SettingsError
from starfill.remote.apis.api import Api, Described, count_of
from starfill.remote.apis.llama_cpp import LlamaCpp
from starfill.remote.apis.openai import LlamaCppPython, OpenAI, Sglang, Vllm
from starfill.remote.apis.tgi import Tgi
from starfill.remote.http import Connection, Json

KINDS: Mapping[str, type[Api]] = {kind.name: kind for kind in (OpenAI, LlamaCppPython, Vllm, Sglang, Tgi, LlamaCpp)}
OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp"}


async def describe(connection: Connection, kind: str, model: str) -> tuple[Api, Described]:
    """kind: one of KINDS, or "auto". model: the one that is wanted, "" for the engine's only one.

    Raises EngineError if there is no engine, SettingsError for a model that it doesn't have.
    """
    try:
        listed = await _listed(connection)
    except EngineError:
        if kind == "auto" or not model:
            raise
        # It may be an engine without a list of models: `transformers serve` without the hub's cache.
        await connection.get("/health")
        listed = []
    info = None if kind not in ("auto", "tgi") or _owner(listed) in OWNERS else await connection.get("/info")
    if kind == "auto":
        kind = _kind_of(listed, info)
    if not kind:
        raise EngineError(
            f"{connection.address.base} is no serving engine that Starfill knows: it has neither /v1/models nor /info; "
            'correct "starfill.engine.url", or set "starfill.engine.kind" and "starfill.engine.model"'
        )
    if kind == "tgi" and info and "model_id" in info:
        return Tgi(), _of_tgi(info)
    entry = _entry(connection, listed, model)
    props = await connection.get("/props") if kind == "llama.cpp" else None
    return KINDS[kind](), _of_llama_cpp(entry, props) if props else _of_openai(entry)


async def _listed(connection: Connection) -> list[Json]:
    found = await connection.get("/v1/models")
    data = (found or {}).get("data")
    if not isinstance(data, list):
        return []
    return [each for each in data if isinstance(each, dict) and isinstance(each.get("id"), str)]


def _kind_of(listed: list[Json], info: Json | None) -> str:
    if (owner := _owner(listed)) in OWNERS:
        return OWNERS[owner]
    if info and "model_id" in info:
        return "tgi"
    if _owner(listed) == "me" and "permissions" in listed[0]:
        return LlamaCppPython.name
    return "openai" if listed else ""


def _owner(listed: list[Json]) -> str:
    return str(listed[0].get("owned_by")) if listed else ""


def _entry(connection: Connection, listed: list[Json], model: str) -> Json:
    names = [each["id"] for each in listed]
    if model and (not names or model in names):
        return next((each for each in listed if each["id"] == model), {"id": model})
    if not model and len(names) == 1:
        return listed[0]
    has = f"has {', '.join(names)}" if names else "doesn't say what it has"
    wanted = f'has no model "{model}", it {has}' if model else f"{has}"
    raise SettingsError(f'{connection.address.base} {wanted}: set "starfill.engine.model" to the one that is meant')


def _of_openai(entry: Json) -> Described:
    return Described(
        model=entry["id"],
        known_as=str(entry.get("root") or entry["id"]),
        context_length=count_of(entry.get("max_model_len")) or 0,
    )


def _of_llama_cpp(entry: Json, props: Json) -> Described:
    defaults = props.get("default_generation_settings")
    template = props.get("chat_template")
    return Described(
        model=entry["id"],
        known_as=PurePosixPath(str(props.get("model_path") or entry["id"]).replace("\\", "/")).name,
        context_length=count_of(defaults.get("n_ctx") if isinstance(defaults, dict) else None) or 0,
        chat_template=template if isinstance(template, str) and template else None,
        slots=count_of(props.get("total_slots")) or 0,
    )


def _of_tgi(info: Json) -> Described:
    total = count_of(info.get("max_total_tokens")) or 0
    return Described(model=str(info["model_id"]), known_as=str(info["model_id"]), context_length=total)
