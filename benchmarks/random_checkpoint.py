"""Write a GPTQ checkpoint with random weights: real tensors, names and shapes, for tests of loading, memory and speed.

python benchmarks/random_checkpoint.py starcoderbase-1b FOLDER --layers 24 --bits 4 --group-size 128 --desc-act
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import torch
from safetensors.torch import save_file

BUNDLED = Path(__file__).parent.parent / "server" / "starfill" / "bundled" / "model"


@dataclass(frozen=True)
class Shape:
    """The fields of a gpt_bigcode config.json that decide on tensors."""

    n_layer: int
    n_embd: int
    n_head: int
    n_positions: int
    vocab_size: int


SHAPES = {
    "tiny": Shape(2, 64, 2, 256, 300),
    "starcoderbase-1b": Shape(24, 2048, 16, 8192, 49152),
    "starcoderbase-3b": Shape(36, 2816, 22, 8192, 49152),
    "starcoder-15b": Shape(40, 6144, 48, 8192, 49152),
}


@dataclass(frozen=True)
class Layout:
    """Quantization settings, named as in quantize_config.json; bits 0: unquantized."""

    bits: int = 4
    group_size: int = 128
    desc_act: bool = False
    checkpoint_format: str = "gptq"
    sym: bool = True


def config_json(shape: Shape) -> dict[str, object]:
    return {
        "model_type": "gpt_bigcode",
        "architectures": ["GPTBigCodeForCausalLM"],
        **asdict(shape),
        "n_inner": 4 * shape.n_embd,
        "multi_query": True,
        "activation_function": "gelu_pytorch_tanh",
        "layer_norm_epsilon": 1e-5,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }


def linear(name: str, rows: int, columns: int, layout: Layout, rng: torch.Generator) -> dict[str, torch.Tensor]:
    bias = torch.randn(columns, generator=rng).mul_(0.02).half()
    if not layout.bits:
        weight = torch.randn(columns, rows, generator=rng).mul_(rows**-0.5)
        return {f"{name}.weight": weight, f"{name}.bias": bias.float()}
    groups = 1 if layout.group_size == -1 else rows // layout.group_size
    g_idx = torch.arange(rows, dtype=torch.int32) // (rows // groups)
    if layout.desc_act:
        g_idx = g_idx[torch.randperm(rows, generator=rng)]

    def words(*size: int) -> torch.Tensor:
        return torch.randint(-(2**31), 2**31, size, dtype=torch.int64, generator=rng).int()

    symmetric = pack_row(
        torch.full((columns,), 2 ** (layout.bits - 1) - (layout.checkpoint_format == "gptq")), layout.bits
    )
    spread = 2**layout.bits / 12**0.5  # standard deviation of uniform codes
    scales = (torch.rand(groups, columns, generator=rng) + 0.5) * rows**-0.5 / spread
    return {
        f"{name}.qweight": words(rows * layout.bits // 32, columns),
        f"{name}.qzeros": symmetric.repeat(groups, 1) if layout.sym else words(groups, columns * layout.bits // 32),
        f"{name}.scales": scales.half(),
        f"{name}.g_idx": g_idx,
        f"{name}.bias": bias,
    }


def pack_row(values: torch.Tensor, bits: int) -> torch.Tensor:
    """int64 [N] -> int32 [N * bits / 32], value i at bit i * bits, low bits first."""
    stream = sum(int(value) << (i * bits) for i, value in enumerate(values.tolist()))
    size = len(values) * bits // 8
    return torch.frombuffer(bytearray(stream.to_bytes(size, "little")), dtype=torch.int32)


def tensors(shape: Shape, layout: Layout, seed: int) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    d, kv = shape.n_embd, 2 * shape.n_embd // shape.n_head
    dtype = torch.float16 if layout.bits else torch.float32
    linears = {"attn.c_attn": (d, d + kv), "attn.c_proj": (d, d), "mlp.c_fc": (d, 4 * d), "mlp.c_proj": (4 * d, d)}
    norms = ["transformer.ln_f"]
    found = {
        "transformer.wte.weight": torch.randn(shape.vocab_size, d, generator=rng).mul_(0.1).to(dtype),
        "transformer.wpe.weight": torch.randn(shape.n_positions, d, generator=rng).mul_(0.02).to(dtype),
    }
    for i in range(shape.n_layer):
        for part, (rows, columns) in linears.items():
            found |= linear(f"transformer.h.{i}.{part}", rows, columns, layout, rng)
        norms += [f"transformer.h.{i}.ln_1", f"transformer.h.{i}.ln_2"]
    for name in norms:
        found[f"{name}.weight"] = (1 + torch.randn(d, generator=rng) * 0.1).to(dtype)
        found[f"{name}.bias"] = (torch.randn(d, generator=rng) * 0.1).to(dtype)
    return found


def tokenizer_json(vocab_size: int) -> dict[str, object]:
    """The bundled model's tokenizer, or the first tokens of it, filled up with tokens that no text encodes to."""
    raw: dict[str, object] = json.loads((BUNDLED / "tokenizer.json").read_text(encoding="utf-8"))
    model = raw["model"]
    assert isinstance(model, dict)
    vocab = {token: id for token, id in model["vocab"].items() if id < vocab_size}
    model["merges"] = [m for m in model["merges"] if all(t in vocab for t in (*_pair(m), "".join(_pair(m))))]
    filler = (id for id in range(vocab_size) if id not in set(vocab.values()))
    model["vocab"] = vocab | {f"Filler{id}": id for id in filler}
    return raw


def _pair(merge: str | list[str]) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else merge


def write(folder: Path, shape: Shape, layout: Layout, seed: int = 0) -> Path:
    """The published layout: config.json, quantize_config.json, tokenizer.json and one safetensors file."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "model"
    (folder / "config.json").write_text(json.dumps(config_json(shape), indent=2))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(shape.vocab_size)))
    if layout.bits:
        name = f"gptq_model-{layout.bits}bit-{layout.group_size}g"
        settings = {**asdict(layout), "damp_percent": 0.1, "true_sequential": True, "model_file_base_name": name}
        (folder / "quantize_config.json").write_text(json.dumps(settings, indent=2))
    save_file(tensors(shape, layout, seed), folder / f"{name}.safetensors", metadata={"format": "pt"})
    return folder


@click.command()
@click.argument("shape", type=click.Choice(list(SHAPES)))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--layers", type=int, help="Fewer (or more) layers than the model has.")
@click.option("--bits", type=click.Choice(["0", "3", "4", "8"]), default="4", help="0: unquantized.")
@click.option("--group-size", type=int, default=128, show_default=True)
@click.option("--desc-act", is_flag=True)
@click.option("--checkpoint-format", type=click.Choice(["gptq", "gptq_v2"]), default="gptq", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(
    shape: str,
    folder: Path,
    layers: int | None,
    bits: str,
    group_size: int,
    desc_act: bool,
    checkpoint_format: str,
    seed: int,
) -> None:
    """Write a random GPTQ checkpoint of SHAPE into FOLDER."""
    chosen = asdict(SHAPES[shape])
    if layers:
        chosen["n_layer"] = layers
    write(folder, Shape(**chosen), Layout(int(bits), group_size, desc_act, checkpoint_format), seed)
    click.echo(f"{folder}: {sum(f.stat().st_size for f in folder.iterdir()) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
