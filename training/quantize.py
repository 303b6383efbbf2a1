"""GPTQ quantization with auto-gptq's solver and packer over our own loop of layers, written in the published v1 layout.

Runs in an environment with auto-gptq 0.7.1 (see README.md), on the CPU or on the device that the model is on:
`python training/quantize.py --model build/run/model --out FOLDER`. GPTQ: Frantar et al., arXiv 2210.17323.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from auto_gptq.nn_modules.qlinear.qlinear_cuda import QuantLinear
from auto_gptq.quantization.gptq import GPTQ
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import GPTBigCodeForCausalLM

HERE = Path(__file__).parent

# Quantized in this order inside a block, each seeing the ones before it already quantized ("true sequential").
LINEARS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
DAMP_PERCENT = 0.01


class Caught(Exception):
    """Ends a forward pass once the first block's inputs are known."""


def block_inputs(model: nn.Module, blocks: nn.ModuleList, ids: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """The hidden states [1, T, D] and keyword arguments that the model calls its first block with."""
    caught: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def catch(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        caught.append((args, kwargs))
        raise Caught

    hook = blocks[0].register_forward_pre_hook(catch, with_kwargs=True)
    try:
        model(ids, use_cache=False)
    except Caught:
        pass
    finally:
        hook.remove()
    (hidden, *_), kwargs = caught[0]
    return hidden, kwargs


def run_block(block: nn.Module, hidden: Tensor, kwargs: dict[str, Any]) -> Tensor:
    out = block(hidden, **kwargs)
    result: Tensor = out[0] if isinstance(out, tuple) else out  # a tuple until transformers 5
    return result


@contextmanager
def without_cuda() -> Iterator[None]:
    """auto-gptq's solver calls torch.cuda.synchronize() whatever the device: without CUDA it must do nothing."""
    if torch.cuda.is_available():
        yield
    else:
        with patch("torch.cuda.synchronize"):
            yield


def solve(
    block: nn.Module,
    linear: nn.Linear,
    inputs: list[tuple[Tensor, dict[str, Any]]],
    bits: int,
    group_size: int,
    desc_act: bool,
) -> dict[str, Tensor]:
    """Quantizes one linear in place; its packed tensors (qweight, qzeros, scales, g_idx and bias, fp16)."""
    solver = GPTQ(linear)
    solver.quantizer.configure(bits, perchannel=True, sym=True, mse=False)
    hook = linear.register_forward_hook(lambda _, args, out: solver.add_batch(args[0].data, out.data))
    for hidden, kwargs in inputs:
        run_block(block, hidden, kwargs)
    hook.remove()
    with without_cuda():
        scale, zero, g_idx = solver.fasterquant(percdamp=DAMP_PERCENT, group_size=group_size, actorder=desc_act)
    packed = QuantLinear(bits, group_size, linear.in_features, linear.out_features, linear.bias is not None)
    packed.pack(linear.cpu(), scale.cpu(), zero.cpu(), g_idx.cpu())
    linear.to(scale.device)
    tensors = {name: getattr(packed, name) for name in ("qweight", "qzeros", "scales", "g_idx", "bias")}
    return {n: (t.half() if t.is_floating_point() else t).contiguous() for n, t in tensors.items() if t is not None}


@torch.no_grad()
def quantize(
    model: GPTBigCodeForCausalLM, calibration: Iterable[Tensor], bits: int, group_size: int, desc_act: bool
) -> dict[str, Tensor]:
    """The tensors of the quantized checkpoint; the model's own linears are left with the quantized values.

    calibration: token ids int64 [T] each. group_size -1 means one group per column. Other tensors are fp16; the output
    head is left out, being the embedding.
    """
    blocks: nn.ModuleList = model.transformer.h
    device = model.device
    inputs = [block_inputs(model, blocks, ids[None].to(device)) for ids in calibration]
    tensors: dict[str, Tensor] = {}
    for number, block in enumerate(tqdm(blocks, desc=f"GPTQ {bits} bits")):
        for name in LINEARS:
            packed = solve(block, block.get_submodule(name), inputs, bits, group_size, desc_act)
            tensors |= {f"transformer.h.{number}.{name}.{part}": tensor for part, tensor in packed.items()}
        inputs = [(run_block(block, hidden, kwargs), kwargs) for hidden, kwargs in inputs]
    linears = {f"transformer.h.{n}.{name}." for n in range(len(blocks)) for name in LINEARS}
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight" and not name.endswith("attn.bias") and not name.startswith(tuple(linears)):
            tensors[name] = tensor.half().cpu().contiguous()
    return tensors


def write_checkpoint(
    folder: Path,
    model: GPTBigCodeForCausalLM,
    tensors: dict[str, Tensor],
    bits: int,
    group_size: int,
    desc_act: bool,
    name: str,
) -> None:
    """config.json, quantize_config.json and the safetensors under the names that published checkpoints use."""
    folder.mkdir(parents=True, exist_ok=True)
    base = f"gptq_model-{bits}bit-{group_size}g"
    save_file(tensors, folder / f"{base}.safetensors", metadata={"format": "pt"})
    config = model.config.to_diff_dict() | {"architectures": ["GPTBigCodeForCausalLM"], "torch_dtype": "float16"}
    for key in ("_name_or_path", "_attn_implementation", "dtype", "transformers_version"):
        config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    quantization = {
        "bits": bits,
        "group_size": group_size,
        "damp_percent": DAMP_PERCENT,
        "desc_act": desc_act,
        "static_groups": False,
        "sym": True,
        "true_sequential": True,
        "model_name_or_path": name,
        "model_file_base_name": base,
    }
    (folder / "quantize_config.json").write_text(json.dumps(quantization, indent=2) + "\n")


def corpus_calibration(build: Path, count: int, length: int) -> list[Tensor]:
    """`count` training sequences, fill-in-the-middle samples among them, drawn with another seed than training's."""
    from data import Sequences, read_corpus
    from samples import Recipe
    from tokenizer import encode_text
    from tokenizer import load as load_tokenizer

    recipe = Recipe(partial(encode_text, load_tokenizer(build / "tokenizer")))
    sequences = Sequences(read_corpus(build / "train.jsonl"), length, recipe, seed=1, chars_per_token=3.5)
    return [sequences[i][0][:-1] for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Quantize the trained model with GPTQ.")
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=128)
    parser.add_argument("--no-desc-act", action="store_true")
    parser.add_argument("--samples", type=int, default=96, help="calibration sequences")
    parser.add_argument("--name", default="starfill-bundled")
    args = parser.parse_args()
    model = GPTBigCodeForCausalLM.from_pretrained(args.build / "run" / "model", torch_dtype=torch.float32)
    calibration = corpus_calibration(args.build, args.samples, model.config.n_positions)
    desc_act = not args.no_desc_act
    tensors = quantize(model, calibration, args.bits, args.group_size, desc_act)
    write_checkpoint(args.out, model, tensors, args.bits, args.group_size, desc_act, args.name)
    for file in (args.build / "tokenizer").iterdir():
        shutil.copy(file, args.out / file.name)


if __name__ == "__main__":
    main()
