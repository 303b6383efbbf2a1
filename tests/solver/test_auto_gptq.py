"""`starfill models quantize` with auto-gptq, and auto-gptq itself as the oracle of what comes out.

Runs in the environment that `make test-auto-gptq` makes. `make test` reads files that auto-gptq wrote
(tests/fixtures/auto_gptq), so the format is held there too.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import tiny_checkpoints as tiny
from starfill.cli.main import main
from starfill.engine.linear import int4pack, native, reference
from starfill.quantize.spec import Spec

pytest.importorskip("auto_gptq", reason="needs the extra [auto-gptq]: make test-auto-gptq", exc_type=ImportError)
pytestmark = [pytest.mark.auto_gptq, pytest.mark.filterwarnings("default")]

LAYOUTS = list(itertools.product((3, 4, 8), (-1, 32, 64, 128), (False, True), (True, False)))
ARCHITECTURES = {
    **tiny.BASES,
    "mistral": tiny.LLAMA | {"model_type": "mistral"},
    "qwen2": tiny.LLAMA | {"model_type": "qwen2"},
}


@pytest.mark.parametrize("bits,group_size,desc_act,sym", LAYOUTS)
def test_a_layer_that_auto_gptq_solved_and_packed(bits: int, group_size: int, desc_act: bool, sym: bool) -> None:
    from starfill.quantize.auto_gptq import solver

    torch.manual_seed(bits + group_size)
    linear = torch.nn.Linear(256, 96)
    weight = linear.weight.data
    if not sym:
        weight[:40] = weight[:40].abs()  # no weight below 0: where a zero point would be 0
    before = weight.clone()
    with torch.inference_mode():
        solving = solver()("", linear, Spec(bits, group_size, desc_act, sym))
        solving.see(torch.randn(512, 256))
        layer = solving.solve()
    found = reference.dequantize(layer)
    assert torch.equal(found, their_weight(layer, group_size))
    assert (reference.codes(layer)[1] >= 1).all()
    assert torch.allclose(found.t().float(), linear.weight, atol=2e-3, rtol=2e-3)  # what the solver left in the layer
    share = (found.t().float() - before).norm() / before.norm()
    assert share < {3: 0.35, 4: 0.17, 8: 0.012}[bits]
    x = torch.randn(5, 256)
    exact = reference.linear(x, layer)
    for packer, tolerance in ((int4pack, 0.006), (native, 0.0004)):
        assert (packer.pack(layer)(x).float() - exact).norm() / exact.norm() < tolerance


def their_weight(layer: reference.Packed, group_size: int) -> torch.Tensor:
    """W [in, out] as auto-gptq's own linear has it: its answer to the unit vectors."""
    from auto_gptq.nn_modules.qlinear.qlinear_cuda import QuantLinear

    linear = QuantLinear(layer.bits, group_size, layer.in_features, layer.out_features, bias=False)
    for name in tiny.PACKED:
        setattr(linear, name, getattr(layer, name))
    answer: torch.Tensor = linear(torch.eye(layer.in_features, dtype=torch.float16))
    return answer


@pytest.mark.parametrize("bits,group_size,flags", [(3, 64, []), (4, 128, []), (8, -1, ["--no-desc-act"])])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_through_the_command(
    name: str, bits: int, group_size: int, flags: list[str], tmp_path: Path
) -> None:
    source, made = quantized(tmp_path, name, bits, group_size, flags)
    state = load_file(made / "model.safetensors")
    layout = tiny.Layout(bits, group_size)
    linears = sorted(key.removesuffix(".qweight") for key in state if key.endswith(".qweight"))
    assert linears == sorted(key.removesuffix(".weight") for key in their_linears(ARCHITECTURES[name]))
    ours = {linear: tiny.packed_layer(state, linear, layout) for linear in linears}
    theirs = loaded_by_auto_gptq(made, name)
    for linear, layer in ours.items():
        module: Any = theirs.get_submodule(linear)
        module.bias = None
        found = module(torch.eye(layer.in_features, dtype=torch.float16))
        assert torch.equal(found, reference.dequantize(layer)), linear
    assert torch.equal(theirs.get_input_embeddings().weight, embedding(source).half())


def quantized(
    tmp_path: Path, name: str, bits: int, group_size: int, flags: list[str], method: str = "gptq"
) -> tuple[Path, Path]:
    source, made, ids = tmp_path / "source", tmp_path / "made", tmp_path / "ids.jsonl"
    source.mkdir()
    tiny.write(source, ARCHITECTURES[name])
    rng = torch.Generator().manual_seed(0)
    rows = [torch.randint(0, 300, (96,), generator=rng).tolist() for _ in range(8)]
    ids.write_text("".join(json.dumps({"ids": row}) + "\n" for row in rows))
    command = ["models", "quantize", source, made, "--bits", bits, "--group-size", group_size, "--calibration", ids]
    result = CliRunner().invoke(main, [*map(str, command), *flags, "--backend", "auto-gptq", "--method", method])
    assert result.exit_code == 0, result.output
    return source, made


def embedding(source: Path) -> torch.Tensor:
    state = load_file(source / "model.safetensors")
    return state["transformer.wte.weight"] if "transformer.wte.weight" in state else state["model.embed_tokens.weight"]


def their_linears(fields: dict[str, Any]) -> list[str]:
    model = tiny.their_model(fields)
    return [
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings()
    ]


def loaded_by_auto_gptq(folder: Path, name: str) -> Any:
    """The library's own loading; of starcoder2, which it doesn't know, through a class of the kind that it has."""
    from auto_gptq.modeling import _base
    from auto_gptq.modeling._base import BaseGPTQForCausalLM
    from auto_gptq.modeling.auto import GPTQ_CAUSAL_LM_MODEL_MAP

    class Starcoder2(BaseGPTQForCausalLM):
        layer_type = "Starcoder2DecoderLayer"
        layers_block_name = "model.layers"
        outside_layer_modules = ("model.embed_tokens", "model.norm")
        inside_layer_modules = (
            ("self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj"),
            ("self_attn.o_proj",),
            ("mlp.c_fc",),
            ("mlp.c_proj",),
        )

    classes = {**GPTQ_CAUSAL_LM_MODEL_MAP, "starcoder2": Starcoder2}
    Starcoder2.outside_layer_modules = list(Starcoder2.outside_layer_modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_base, "SUPPORTED_MODELS", [*classes])
        for init in ("kaiming_uniform_", "uniform_", "normal_"):  # which it replaces for good
            patch.setattr(torch.nn.init, init, getattr(torch.nn.init, init))
        wrapper = classes[name].from_quantized(str(folder), device="cpu", disable_exllamav2=True, use_cuda_fp16=False)
    return wrapper.model


def test_gptq_beats_rounding_to_nearest(tmp_path: Path) -> None:
    """On the calibration text, through all layers."""
    errors = {}
    for method in ("gptq", "rtn"):
        (tmp_path / method).mkdir()
        _, made = quantized(tmp_path / method, "llama", 3, 64, [], method)
        exact = tiny.their_model(ARCHITECTURES["llama"])
        layout = tiny.Layout(3, 64)
        rounded = tiny.dequantized(made, ARCHITECTURES["llama"], layout)
        ids = torch.tensor(json.loads((tmp_path / method / "ids.jsonl").read_text().split("\n")[0])["ids"])
        expected = tiny.their_logits(exact, ids)
        errors[method] = float((tiny.their_logits(rounded, ids) - expected).norm() / expected.norm())
    assert errors["gptq"] < 0.9 * errors["rtn"]
