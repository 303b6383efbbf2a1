"""gptqmodel as a backend of `starfill models quantize`, and as a reader of what the command makes.

Runs in the environment that `make test-gptqmodel` makes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import tiny_checkpoints as tiny
from starfill.cli.main import main
from starfill.engine.linear import reference
from tiny_tokenizers import byte_level

pytest.importorskip("gptqmodel", reason="needs the extra [gptqmodel]: make test-gptqmodel", exc_type=ImportError)
pytestmark = [pytest.mark.gptqmodel, pytest.mark.filterwarnings("default")]


def quantized(tmp_path: Path, name: str, *options: object) -> Path:
    source, made, ids = tmp_path / "source", tmp_path / "made", tmp_path / "ids.jsonl"
    source.mkdir()
    tiny.write(source, tiny.BASES[name] | {"bos_token_id": 0, "eos_token_id": 0})  # inside the small vocabulary
    (source / "tokenizer.json").write_text(byte_level(("<|endoftext|>",), size=300))  # the library insists on one
    (source / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    rng = torch.Generator().manual_seed(0)
    rows = [torch.randint(0, 300, (64,), generator=rng).tolist() for _ in range(8)]
    ids.write_text("".join(json.dumps({"ids": row}) + "\n" for row in rows))
    command = ["models", "quantize", source, made, "--calibration", ids, *options]
    result = CliRunner().invoke(main, list(map(str, command)))
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ids.jsonl", "made", "source"]
    return made


def same_weights(made: Path, layout: tiny.Layout) -> None:
    """Each linear as the library dequantizes it is, bit for bit, what our reference reads."""
    from gptqmodel import BACKEND, GPTQModel

    state = load_file(made / "model.safetensors")
    theirs: Any = GPTQModel.load(str(made), device="cpu", backend=BACKEND.TORCH, dtype=torch.float16).model
    linears = [key.removesuffix(".qweight") for key in state if key.endswith(".qweight")]
    assert len(linears) >= 8
    for linear in linears:
        found = theirs.get_submodule(linear).dequantize_weight()
        assert torch.equal(found, reference.dequantize(tiny.packed_layer(state, linear, layout))), linear


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("name", tiny.BASES)
def test_it_reads_every_architecture(name: str, bits: int, tmp_path: Path) -> None:
    made = quantized(tmp_path, name, "--method", "rtn", "--bits", bits, "--group-size", 64)
    same_weights(made, tiny.Layout(bits, 64))


@pytest.mark.parametrize(
    ("name", "bits", "group_size", "flags"),
    [
        ("gpt_bigcode", 4, 64, ("--desc-act",)),
        ("llama", 4, -1, ("--no-desc-act",)),
        ("starcoder2", 3, 32, ("--desc-act",)),
        ("llama", 8, 64, ("--desc-act", "--asym")),
    ],
)
def test_it_quantizes(name: str, bits: int, group_size: int, flags: tuple[str, ...], tmp_path: Path) -> None:
    options = ("--backend", "gptqmodel", "--bits", bits, "--group-size", group_size, *flags)
    made = quantized(tmp_path, name, *options)
    settings = json.loads((made / "quantize_config.json").read_text())
    assert settings["checkpoint_format"] == ("gptq_v2" if "--asym" in flags else "gptq")
    layout = tiny.Layout(bits, group_size, checkpoint_format=settings["checkpoint_format"])
    same_weights(made, layout)
    g_idx = load_file(made / "model.safetensors")[next(iter(linears(made))) + ".g_idx"]
    assert bool((g_idx.diff() >= 0).all()) == (group_size == -1 or "--no-desc-act" in flags)
    ids = torch.tensor(json.loads((tmp_path / "ids.jsonl").read_text().split("\n")[0])["ids"])
    found = tiny.their_logits(tiny.dequantized(made, tiny.BASES[name], layout), ids)
    expected = tiny.their_logits(tiny.their_model(tiny.BASES[name]), ids)
    assert (found - expected).norm() / expected.norm() < {3: 0.6, 4: 0.3, 8: 0.03}[bits]


def linears(made: Path) -> list[str]:
    return [key.removesuffix(".qweight") for key in load_file(made / "model.safetensors") if key.endswith(".qweight")]


def test_what_it_cant_do_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").mkdir()
    tiny.write(tmp_path / "source", tiny.LLAMA)
    (tmp_path / "ids.jsonl").write_text('{"ids": [1]}\n')
    # where its process finds this instead of the library
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    (tmp_path / "gptqmodel.py").write_text("raise RuntimeError('no such thing today')\n")
    command = ["models", "quantize", tmp_path / "source", tmp_path / "made", "--calibration", tmp_path / "ids.jsonl"]
    result = CliRunner().invoke(main, list(map(str, [*command, "--backend", "gptqmodel"])))
    assert result.exit_code == 2
    assert "starfill: gptqmodel could not quantize" in result.output and "no such thing today" in result.output
    assert not (tmp_path / "made").exists()
