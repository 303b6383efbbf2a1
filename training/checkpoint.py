"""Reading a checkpoint back for evaluation: plain, or GPTQ in the v1 layout, dequantized into transformers' model."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM


def unpack(words: Tensor, bits: int) -> Tensor:
    """int32 words [R, C] -> their `bits`-wide fields, lowest first, down the rows: int32 [R * 32 / bits, C]."""
    if 32 % bits:
        raise ValueError(f"{bits}-bit fields straddle words; only 2, 4 and 8 bits are read here")
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    fields: Tensor = (words[:, None, :] >> shifts[:, None]) & (2**bits - 1)
    return fields.flatten(0, 1)


def dequantize(qweight: Tensor, qzeros: Tensor, scales: Tensor, g_idx: Tensor, bits: int) -> Tensor:
    """W[k, n] = scales[g_idx[k], n] * (q[k, n] - zero[g_idx[k], n]) as fp16 [in, out]; v1 stores each zero less one."""
    codes = unpack(qweight, bits)
    zeros = unpack(qzeros.T.contiguous(), bits).T + 1
    group = g_idx.long()
    weight: Tensor = scales.float()[group] * (codes - zeros[group])
    return weight.to(scales.dtype)


def load(folder: Path) -> GPTBigCodeForCausalLM:
    """The folder's model in fp32, its weights the ones that the quantized tensors stand for if it is quantized."""
    if not (folder / "quantize_config.json").exists():
        model: GPTBigCodeForCausalLM = GPTBigCodeForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return model
    quantization = json.loads((folder / "quantize_config.json").read_text())
    tensors = load_file(folder / f"{quantization['model_file_base_name']}.safetensors")
    for name in [n.removesuffix(".qweight") for n in tensors if n.endswith(".qweight")]:
        qweight, qzeros, scales, g_idx = (tensors.pop(f"{name}.{p}") for p in ("qweight", "qzeros", "scales", "g_idx"))
        tensors[f"{name}.weight"] = dequantize(qweight, qzeros, scales, g_idx, quantization["bits"]).T
    model = GPTBigCodeForCausalLM(GPTBigCodeConfig.from_pretrained(folder))
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"]
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    model.train(False)
    return model
