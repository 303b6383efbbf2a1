"""What an editor can offer to choose: the bundled model, what is here, what is published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checkpoints.mission import MISSION
from starfill.app.backend import LocalBackend
from starfill.checkpoint.hub import Repository
from starfill.checkpoint.published import PUBLISHED

HERE = "TheBloke/starcoder-GPTQ"


def test_the_published_ones_are_the_mission_s():
    assert set(PUBLISHED) == {str(Repository.named(name)) for name in MISSION}
    for published in MISSION.values():
        if published.gigabytes is not None:
            assert PUBLISHED[str(Repository.named(published.name))] == round(published.gigabytes * 1e9)


def pull(cache: Path, name: str, *, whole: bool) -> None:
    """As the hub's library leaves it."""
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("c0ffee")
    (snapshot / "config.json").write_text(json.dumps({"model_type": "gpt_bigcode"}))
    if whole:
        for file in ("tokenizer.json", "quantize_config.json"):
            (snapshot / file).write_text("{}")
        (snapshot / "model.safetensors").write_bytes(b"12345678")


def test_what_is_here_comes_before_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("starfill.checkpoint.hub.cache_folder", lambda: tmp_path)
    pull(tmp_path, HERE, whole=True)
    pull(tmp_path, "TheBloke/WizardCoder-15B-1.0-GPTQ", whole=False)
    bundled, here, *known = LocalBackend().models()
    assert (bundled.name, bundled.where) == ("bundled", "bundled")
    assert 5_000_000 < (bundled.nbytes or 0) < 20_000_000
    assert (here.name, here.where) == (HERE, "here")
    assert 0 < (here.nbytes or 0) < 100
    assert {each.where for each in known} == {"known"}
    assert [each.name for each in known] == [name for name in PUBLISHED if name != HERE]
