"""Which models are measured, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from checkpoints.layout import Layout
from checkpoints.shapes import SHAPES, GptBigCode, Llama, Shape
from gpu.ceilings import Sizes


@dataclass(frozen=True, slots=True)
class Case:
    """weights_only: a model that hardly leaves room for KV states; with as many layers as fit.

    judged: the model that there are bars for.
    """

    name: str
    shape: Shape
    weights_only: bool = False
    judged: bool = False


REAL_SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class Work:
    """How much is measured. All lengths are tokens.

    contexts: of decode, steps passes at each. rows: decoded together. prompts: cold ones, repeats of each. warm:
    contexts that so many keys are typed at. untimed: passes and keys before those that count. generated: by `generate`
    of transformers. ceilings: on what those are measured. products: of how many layers; rounds: of a product or copy.
    chunks: rows of a prompt's products; rooms: bytes for their weights in full.
    """

    contexts: tuple[int, ...] = (512, 2048, 8192)
    steps: int = 64
    rows: tuple[int, ...] = (1, 4)
    prompts: tuple[int, ...] = (512, 2048, 8192)
    repeats: int = 3
    warm: tuple[int, ...] = (500, 2000, 8000)
    keys: int = 100
    untimed: int = 3
    generated: int = 64
    ceilings: Sizes = REAL_SIZES
    products: int = 100
    rounds: int = 10
    chunks: tuple[int, ...] = (512, 2048, 4096)
    rooms: tuple[int, ...] = tuple(mebibytes << 20 for mebibytes in (16, 32, 64, 128, 256, 512))


REAL = Work()
# To see that everything runs: on the CPU Triton's interpreter takes seconds for a pass.
TINY = Work((18,), 2, (1, 2), (18,), 1, (18,), 2, 0, 2, Sizes(2**20, 64), 1, 1, (18,), (8192, 65536))

LAYOUT = Layout(4, 128, desc_act=True)  # what most of the mission's checkpoints are, and the slower order of rows
TINY_LAYOUT = Layout(4, 32, desc_act=True)

CASES = {
    "starcoder-15b": Case("StarCoder-15B shape", SHAPES["starcoder-15b"], judged=True),
    "codellama-13b": Case("WizardCoder-Python-13B shape", SHAPES["codellama-13b-python"]),
    "codellama-70b": Case("CodeLlama-70B shape", SHAPES["codellama-70b"], weights_only=True),
}
TINY_CASES = {
    "tiny": Case("tiny gpt_bigcode", GptBigCode(1, 32, 2, 64, 64), judged=True),
    "tiny-llama": Case("tiny llama", Llama(1, 32, 64, 2, 1, 64, 64), weights_only=True),
}


def described(layout: Layout) -> str:
    return f"{layout.bits} bits, groups of {layout.group_size}{', act order' if layout.desc_act else ''}"
