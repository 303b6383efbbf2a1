"""What a keystroke sends: almost all of it has been sent before, so that the engine's prefix cache has it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median

import pytest

from lsp.client import Client
from lsp.params import replace
from remote.fake_engine import Asked, FakeEngine
from remote.opened import BUNDLED
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.util.common_prefix import common_prefix
from traces.trace import Trace, mixed, sources
from traces.typist import Event

COMMAND = [sys.executable, "-m", "starfill", "--stdio"]
KEYS = {"character", "enter", "bracket", "backspace"}
WARM = 0.95


def tokens(asked: Asked, tokenizer: CheckpointTokenizer) -> list[int]:
    return tokenizer.encode(asked.prompt) if isinstance(asked.prompt, str) else asked.prompt


def play(client: Client, trace: Trace, seen: Callable[[Event], None]) -> None:
    """seen: called after each completion."""
    opened = set()
    for event in (event for events in trace.rounds for event in events):
        uri = f"file:///{event.document}.py"
        if event.document not in opened:
            opened.add(event.document)
            client.open(uri, trace.texts[event.document])
        if event.change is not None:
            start, end, text = event.change
            client.change(uri, replace(tuple(start), tuple(end), text))
        if event.cursor is not None:
            client.inline(uri, *event.cursor)
            seen(event)


@pytest.mark.parametrize(
    ("kind", "model", "tokenizer"),
    [("llama.cpp", "starfill-bundled", "bundled"), ("vllm", "bigcode/starcoder", ""), ("tgi", "codellama-13b", "")],
)
def test_a_warm_keystroke(
    kind: str, model: str, tokenizer: str, fake: Callable[..., FakeEngine], record_property: Callable[..., None]
) -> None:
    engine = fake(kind, model, answer=lambda prompt: "§")  # which nobody types, so that each key asks
    own = CheckpointTokenizer.from_folder(BUNDLED, 0)
    last: dict[str, list[int]] = {}
    shares: dict[str, list[float]] = {}
    seen = 0

    def count(event: Event) -> None:
        nonlocal seen
        for number, asked in enumerate(engine.asked[seen:]):
            session, ids = asked.headers["X-Session-ID"], tokens(asked, own)
            if session in last:
                share = common_prefix(last[session], ids) / len(ids)
                shares.setdefault(event.kind if number == 0 else "again", []).append(share)
            last[session] = ids
        seen = len(engine.asked)

    options = {"engine": {"url": engine.url, "tokenizer": tokenizer}}
    with Client.start(COMMAND, options=options) as client:
        client.wait_for_state("ready")
        play(client, mixed(sources(4, 150), 100), count)
    keys = [share for kind, each in shares.items() if kind in KEYS for share in each]
    every = [share for each in shares.values() for share in each]
    assert len(keys) > 35
    for name, each in {"keystrokes": keys, "all requests": every, **shares}.items():
        warm = sum(share >= WARM for share in each) / len(each)
        record_property(name, f"median {median(each):.3f}, {warm:.0%} of {len(each)} at least {WARM}")
        print(f"{model} {name}: median {median(each):.3f}, {warm:.0%} of {len(each)} at least {WARM}")
    assert median(keys) >= WARM
    assert len(last) == 4
