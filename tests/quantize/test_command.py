"""`starfill models quantize` as a user calls it, with the method that needs no library; what it says of bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

import tiny_checkpoints as tiny
from starfill.checkpoint.config import read_config
from starfill.cli.main import main
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.quantize import make


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    tiny.write(folder, tiny.BASES["llama"])
    (folder / "tokenizer_config.json").write_text("{}")
    (tmp_path / "ids.jsonl").write_text(json.dumps({"ids": list(range(50))}) + "\n")
    return folder


def run(source: Path, *options: object) -> Result:
    given = ["--calibration", source.parent / "ids.jsonl", *options]
    command = ["models", "quantize", source, source.parent / "made", *given]
    return CliRunner().invoke(main, list(map(str, command)))


def refused(result: Result, *said: str) -> None:
    lines = result.output.strip().split("\n")
    assert result.exit_code == 2, result.output
    assert len(lines) == 1 and lines[0].startswith("starfill: "), result.output
    assert all(part in lines[0] for part in said), lines[0]


@pytest.mark.parametrize(("bits", "group_size", "zero_points"), [(3, 32, "sym"), (4, 128, "sym"), (8, -1, "asym")])
@pytest.mark.parametrize("name", tiny.BASES)
@torch.inference_mode()
def test_starfill_runs_what_it_made(name: str, bits: int, group_size: int, zero_points: str, tmp_path: Path) -> None:
    source, made = tmp_path / "source", tmp_path / "made"
    source.mkdir()
    tiny.write(source, tiny.BASES[name])
    (tmp_path / "ids.jsonl").write_text(json.dumps({"ids": list(range(50))}) + "\n")
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    result = run(source, "--bits", bits, "--group-size", group_size, "--method", "rtn", f"--{zero_points}")
    assert result.exit_code == 0, result.output
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ids.jsonl", "made", "source"]
    config = read_config(made)
    assert config.quantization is not None
    assert (config.quantization.bits, config.quantization.group_size) == (bits, group_size)
    theirs = tiny.dequantized(made, tiny.BASES[name], tiny.Layout(bits, group_size))
    ours = load_model(OpenedCheckpoint.of(config), torch.device("cpu")).model
    ids = torch.arange(40)
    found, expected = ours(ids, KVCache(ours.kv_shape), 40), tiny.their_logits(theirs, ids)
    assert (found - expected).norm() / expected.norm() < 0.04
    assert "layer 2/2" in result.output and "% of their size" in result.output and "MB" in result.output


def test_the_settings_stand_where_each_library_looks(source: Path) -> None:
    assert run(source, "--method", "rtn", "--bits", 8, "--group-size", 64).exit_code == 0
    made = source.parent / "made"
    settings = json.loads((made / "quantize_config.json").read_text())
    config = json.loads((made / "config.json").read_text())
    assert config["quantization_config"] == settings
    assert settings["bits"] == 8 and settings["group_size"] == 64 and settings["quant_method"] == "gptq"
    assert settings["desc_act"] is False  # nothing was reordered
    assert (made / f"{settings['model_file_base_name']}.safetensors").exists()
    assert {key: config[key] for key in tiny.LLAMA} == tiny.LLAMA
    assert config["torch_dtype"] == "float16"
    assert (made / "tokenizer_config.json").exists()
    assert {str(tensor.dtype) for tensor in load_file(made / "model.safetensors").values()} == {
        "torch.float16",
        "torch.int32",
    }


def test_a_source_that_is_quantized_already(source: Path) -> None:
    settings: dict[str, Any] = {"bits": 4, "group_size": 128}
    (source / "quantize_config.json").write_text(json.dumps(settings))
    refused(run(source, "--method", "rtn"), "is quantized already", "GPTQ 4-bit")


def test_a_destination_in_use(source: Path) -> None:
    (source.parent / "made").mkdir()
    (source.parent / "made" / "notes.txt").write_text("mine")
    refused(run(source, "--method", "rtn"), "is not an empty folder")
    assert (source.parent / "made" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bits", 5), ("--bits 5", "3, 4 or 8")),
        (("--group-size", 0), ("--group-size 0", "-1")),
        (("--group-size", 96), ("96 does not divide the 128 input features", "choose 128 or 64 or 32 or -1")),
        (("--damp", 2), ("--damp 2.0",)),
        (("--samples", 0), ("--samples 0",)),
        (("--device", "cuda"), ("cuda", "no NVIDIA GPU")),
        (("--calibration", "nowhere.txt"), ("nowhere.txt", "doesn't exist")),
    ],
)
def test_options_that_cant_be_used(source: Path, options: tuple[object, ...], said: tuple[str, ...]) -> None:
    refused(run(source, "--method", "rtn", *options), *said)
    assert not (source.parent / "made").exists()


def test_features_that_gptq_cant_pack(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    tiny.write(tmp_path / "source", tiny.LLAMA | {"intermediate_size": 100})
    (tmp_path / "ids.jsonl").write_text('{"ids": [1, 2, 3]}\n')
    refused(run(tmp_path / "source", "--method", "rtn"), "128 x 100 features", "multiples of 32")


def test_weights_beyond_fp16_leave_nothing_behind(source: Path) -> None:
    state = load_file(source / "model.safetensors")
    state["model.norm.weight"][3] = 1e6
    save_file(state, source / "model.safetensors")
    refused(run(source, "--method", "rtn"), "model.norm.weight", "beyond fp16")
    assert sorted(path.name for path in source.parent.iterdir()) == ["ids.jsonl", "source"]


def test_a_tensor_that_is_missing(source: Path) -> None:
    state = load_file(source / "model.safetensors")
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, source / "model.safetensors")
    refused(run(source, "--method", "rtn"), "model.layers.1.mlp.up_proj.weight is missing")


def test_an_architecture_that_transformers_doesnt_know(source: Path) -> None:
    (source / "config.json").write_text(json.dumps(tiny.LLAMA | {"model_type": "unheard_of"}))
    refused(run(source, "--method", "rtn"), "unheard_of")


@pytest.mark.parametrize(
    ("installed", "asked", "chosen"),
    [
        ({"auto_gptq", "gptqmodel"}, "auto", "auto-gptq"),
        ({"gptqmodel"}, "auto", "gptqmodel"),
        ({"gptqmodel"}, "auto-gptq", "starfill[auto-gptq]"),
        ({"auto_gptq"}, "gptqmodel", "starfill[gptqmodel]"),
        (set(), "auto", "starfill[auto-gptq]"),
    ],
)
def test_the_backend_that_is_installed_is_used(
    installed: set[str], asked: str, chosen: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "find_spec", lambda name: name if name in installed else None)
    if chosen in make.BACKENDS:
        assert make.choose_backend(asked) == chosen
    else:
        refused(run(source, "--backend", asked), chosen)
