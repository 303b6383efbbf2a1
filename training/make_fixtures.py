"""Small GPTQ checkpoints written by auto-gptq's own solver and packer, and what auto-gptq's own linear makes of them.

`python training/make_fixtures.py` in an environment with the extra [auto-gptq]. Each folder under
tests/fixtures/auto_gptq/ holds a checkpoint of random weights in the published layout and `expected.safetensors`:

    weight.<linear>    fp16 [in, out]   the first block's weights as auto-gptq dequantizes them
    input.<in size>    fp16 [3, in]     a fixed input
    output.<linear>    fp16 [3, out]    what auto-gptq's linear answers to it, bias included (fp16 arithmetic)
    input_ids, logits  int64 [1, 16], fp32 [1, 16, vocab]   transformers in fp32 over the dequantized weights
"""

from __future__ import annotations

import argparse
import json
import shutil
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from auto_gptq.nn_modules.qlinear.qlinear_cuda import QuantLinear
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

from starfill.quantize.make import Request, make
from starfill.quantize.spec import Spec

OUT = Path(__file__).parent.parent / "tests" / "fixtures" / "auto_gptq"
LINEARS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


def tiny_model() -> GPTBigCodeForCausalLM:
    """Random weights and biases, larger than at a usual start so that no two logits come out alike."""
    config = GPTBigCodeConfig(
        vocab_size=128, n_positions=128, n_embd=64, n_layer=2, n_head=2, n_inner=128, multi_query=True,
        activation_function="gelu_pytorch_tanh", initializer_range=0.15,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = GPTBigCodeForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def quantized(model: GPTBigCodeForCausalLM, folder: Path, spec: Spec) -> dict[str, Tensor]:
    """Writes the checkpoint, calibrated on random ids; its tensors."""
    with TemporaryDirectory() as scratch:
        source, ids = Path(scratch) / "tiny", Path(scratch) / "ids.jsonl"
        model.save_pretrained(source)
        rows = [torch.randint(0, 128, (64,)).tolist() for _ in range(8)]
        ids.write_text("".join(json.dumps({"ids": row}) + "\n" for row in rows))
        make(Request(source, folder, spec, calibration=ids, backend="auto-gptq", device="cpu", copy_head=False))
    published = f"gptq_model-{spec.bits}bit-{spec.group_size}g"  # the older name, which the checkpoints on the hub have
    settings = json.loads((folder / "quantize_config.json").read_text()) | {"model_file_base_name": published}
    (folder / "quantize_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (folder / "model.safetensors").rename(folder / f"{published}.safetensors")
    return load_file(folder / f"{published}.safetensors")


def expected(model: GPTBigCodeForCausalLM, tensors: dict[str, Tensor], spec: Spec) -> dict[str, Tensor]:
    """What auto-gptq makes of the tensors. The model's linears are given the dequantized weights on the way."""
    found: dict[str, Tensor] = {}
    for number, block in enumerate(model.transformer.h):
        for name in LINEARS:
            full = f"transformer.h.{number}.{name}"
            linear = block.get_submodule(name)
            assert isinstance(linear, torch.nn.Linear)
            packed = QuantLinear(spec.bits, spec.group_size, linear.in_features, linear.out_features, bias=True)
            for part in ("qweight", "qzeros", "scales", "g_idx", "bias"):
                setattr(packed, part, tensors[f"{full}.{part}"])
            x = found.setdefault(f"input.{linear.in_features}", torch.randn(3, linear.in_features).half())
            found[f"output.{full}"] = packed(x)
            packed.bias = None
            weight = packed(torch.eye(linear.in_features, dtype=torch.float16))
            linear.weight.data = weight.T.float()
            if number == 0:
                found[f"weight.{full}"] = weight
    for name, parameter in model.named_parameters():
        if name in tensors or name.endswith(".bias"):
            parameter.data = tensors[name].float()
    found["input_ids"] = torch.randint(0, model.config.vocab_size, (1, 16))
    found["logits"] = model(found["input_ids"]).logits
    return {name: tensor.contiguous() for name, tensor in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the auto-gptq test fixtures.")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    for bits, group_size, desc_act in product((4, 8), (-1, 32), (False, True)):
        torch.manual_seed(bits + group_size + desc_act)
        model = tiny_model()
        folder = args.out / f"{bits}bit-{group_size}g{'-act-order' if desc_act else ''}"
        shutil.rmtree(folder, ignore_errors=True)
        spec = Spec(bits, group_size, desc_act)
        tensors = quantized(model, folder, spec)
        with torch.no_grad():
            save_file(expected(model, tensors, spec), folder / "expected.safetensors")


if __name__ == "__main__":
    main()
