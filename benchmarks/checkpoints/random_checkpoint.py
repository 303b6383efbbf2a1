"""Write a checkpoint with random weights: real tensors, names, shapes and settings, for tests and benchmarks.

In benchmarks/:
python -m checkpoints.random_checkpoint starcoderbase-1b FOLDER --layers 24 --bits 4 --group-size 128 --desc-act
python -m checkpoints.random_checkpoint TheBloke/WizardCoder-Python-13B-V1.0-GPTQ:main FOLDER --layers 2
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from checkpoints import tokenizers
from checkpoints.files import write_file
from checkpoints.layout import Layout, entries, linear, values
from checkpoints.mission import MISSION, Published
from checkpoints.shapes import SHAPES, Shape

__all__ = ["MISSION", "SHAPES", "Layout", "Shape", "linear", "named", "write", "write_published"]


def write(folder: Path, shape: Shape, layout: Layout, seed: int = 0) -> Path:
    """A checkpoint of any shape, named as auto-gptq names things; without quantize_config.json where bits is 0."""
    return write_published(folder, named(shape, layout), seed)


def named(shape: Shape, layout: Layout) -> Published:
    name = f"gptq_model-{layout.bits}bit-{layout.group_size}g" if layout.bits else "model"
    settings = {**layout.settings(), "checkpoint_format": layout.checkpoint_format, "model_file_base_name": name}
    return Published("", "", shape, layout, None, name, settings if layout.bits else {}, False, {"format": "pt"})


def write_published(folder: Path, published: Published, seed: int = 0, sparse: bool = False) -> Path:
    """The files of one published checkpoint. sparse: the weights' header alone, in a file that only looks full."""
    shape, layout = published.shape, published.layout
    config = shape.config_json()
    if published.in_config:
        config["quantization_config"] = {**published.settings, "quant_method": "gptq"}
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", config)
    _write_json(folder / "tokenizer.json", _tokenizer(published))
    if published.settings:
        _write_json(folder / "quantize_config.json", published.settings)
    filled = () if sparse else values(shape, layout, seed)
    path = folder / f"{published.file}.safetensors"
    write_file(path, entries(shape, layout), published.metadata, filled)
    return folder


def _tokenizer(published: Published) -> dict[str, Any]:
    size = published.shape.vocab_size
    if published.shape.tokenizer == "byte-level":
        return tokenizers.byte_level(size)
    return tokenizers.sentencepiece(size, {token: id for token, id in published.special.items() if id < size})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


@click.command()
@click.argument("shape", type=click.Choice([*SHAPES, *MISSION]), metavar="SHAPE")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--layers", type=int, help="Fewer (or more) layers than the model has.")
@click.option("--bits", type=click.Choice(["0", "3", "4", "8"]), default="4", help="0: unquantized.")
@click.option("--group-size", type=int, default=128, show_default=True)
@click.option("--desc-act", is_flag=True)
@click.option("--checkpoint-format", type=click.Choice(["gptq", "gptq_v2"]), default="gptq", show_default=True)
@click.option("--sparse", is_flag=True, help="Only the weights' header, in a file that takes no space on the disk.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(
    shape: str,
    folder: Path,
    layers: int | None,
    bits: str,
    group_size: int,
    desc_act: bool,
    checkpoint_format: str,
    sparse: bool,
    seed: int,
) -> None:
    """Write a random checkpoint of SHAPE into FOLDER.

    SHAPE is a model's shape, quantized as the options say, or REPOSITORY:REVISION for one of the mission's checkpoints,
    quantized as it is there.
    """
    chosen = MISSION.get(shape) or named(SHAPES[shape], Layout(int(bits), group_size, desc_act, checkpoint_format))
    if layers:
        chosen = replace(chosen, shape=chosen.shape.with_layers(layers))
    write_published(folder, chosen, seed, sparse)
    click.echo(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
