"""A gpt_bigcode checkpoint as a GGUF file for llama.cpp (architecture "starcoder"), float16 or at 4 bits.

Names and metadata: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and llama.cpp's own converter, which can't
be used: it knows tokenizers by a hash, and not ours.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import gguf
import torch

from peers.dense import tensors

PARTS = {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
WHOLE = "position_embd.weight"  # stays in float32, as llama.cpp has it


def write(folder: Path, target: Path) -> Path:
    """Float16; norms, biases and the table of positions in float32."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["model_type"] != "gpt_bigcode":
        raise SystemExit(f"{folder} is a {config['model_type']}: only gpt_bigcode is written as GGUF here")
    writer = gguf.GGUFWriter(target, "starcoder")
    _add_settings(writer, config)
    _add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")), config)
    for name, tensor in tensors(folder):
        there = renamed(name)
        full = tensor.dim() == 1 or there == WHOLE
        writer.add_tensor(there, tensor.to(torch.float32 if full else torch.float16).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def write_q4_0(folder: Path, target: Path, quantize: Path) -> Path:
    """At 4 bits, by llama.cpp's own program and its own choice for the output head (6 bits)."""
    between = write(folder, target.with_suffix(".f16"))
    subprocess.run([quantize, between, target, "Q4_0"], check=True, capture_output=True)
    between.unlink()
    return target


def bytes_a_token(file: Path) -> tuple[int, int]:
    """Of the weights, all but the table of positions (the output head is the embedding table); of the KV state in
    float16, for each token of context."""
    reader = gguf.GGUFReader(file)
    fields = {name: field.contents() for name, field in reader.fields.items() if name.startswith("starcoder.")}
    head = fields["starcoder.embedding_length"] // fields["starcoder.attention.head_count"]
    weights = sum(int(tensor.n_bytes) for tensor in reader.tensors if tensor.name != WHOLE)
    return weights, 2 * 2 * head * fields["starcoder.block_count"]


def renamed(name: str) -> str:
    """A tensor's name in GGUF."""
    stem, _, part = name.rpartition(".")
    if stem.startswith("transformer.h."):
        number, _, rest = stem.removeprefix("transformer.h.").partition(".")
        return f"blk.{number}.{PARTS[rest]}.{part}"
    return f"{PARTS[stem]}.{part}"


def _add_settings(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(config.get("n_inner") or 4 * config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_head_count_kv(1)
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict[str, Any], config: dict[str, Any]) -> None:
    """Split as StarCoder's (single digits, then the GPT-2 pattern). Ids without a token get a name of their own."""
    control = {token["id"] for token in tokenizer["added_tokens"]}
    names = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    names |= {id: token for token, id in tokenizer["model"]["vocab"].items()}
    size = config["vocab_size"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("starcoder")
    writer.add_token_list([names.get(id, f"<unused{id}>") for id in range(size)])
    writer.add_token_types([gguf.TokenType.CONTROL if id in control else gguf.TokenType.NORMAL for id in range(size)])
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)
