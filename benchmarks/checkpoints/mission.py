"""The fourteen checkpoints that Starfill is for, as published by TheBloke on the Hugging Face hub.

Where each fact comes from:

- Branches, bits, group sizes, act order, sizes in GB (10^9 bytes): the repositories' model cards.
- StarCoder and WizardCoder-15B: the name of the file, group_size -1, act order: their cards. WizardCoder-15B's
  config.json (vocabulary 49153: StarCoder's 49152 and [PAD], activation "gelu"): a public copy of the repository, as is
  the size of its first upload with group_size 128, 9,198,428,896 bytes. `entries` and `files.header` give exactly that
  number, which settles that biases, g_idx and a second copy of the embedding table (`lm_head.weight`) are stored, and
  that the header has no metadata. `tests/engine/loading/test_mission.py` holds it.
- The llama files: a bias of zeros for every layer, g_idx also without act order, no `rotary_emb.inv_freq`. The cards'
  sizes agree to all their digits with these biases and not without (13B 64g: 7.51, not 7.50; 70B: 35.33, not 35.32).
  Two files of the same quantizer and shape, MythoMax-L2-13B at 8 bits (group_size -1 and 128), are known to the byte
  from Git LFS pointers: 13,361,903,336 and 13,652,883,824. That is what comes out here too, with the metadata of
  auto-gptq 0.4.2. One of 70B at 3 bits, Genz-70b with group_size 128, 28,029,117,672 bytes, is met but for 160 bytes of
  header.
- quantize_config.json of the llama repositories: copies of that quantizer's sibling repositories of the same month.
  These, like the cards' "Transformers 4.32 or later", have it in config.json as well, and call the file
  `model.safetensors` in every branch.
- CodeLlama-70B-Instruct: rope_theta 10,000 and 4,096 positions, unlike the smaller Code Llamas: an author's answer in
  issue 188 of meta-llama/codellama. 32,016 tokens, `<step>` being 32,015: the model card.
- WizardCoder-Python-13B: shape, rope_theta and positions of CodeLlama-13b-Python, which it was made from.

Not verified: WizardCoder-Python-13B's vocabulary of 32,001 (sizes can't tell it from 32,000); that the 70B files are
single ones, and their metadata; StarCoder's and WizardCoder-15B's damp_percent; that all are symmetric (their siblings
are).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from checkpoints.layout import Layout
from checkpoints.shapes import SHAPES, GptBigCode, Llama, Shape


@dataclass(frozen=True)
class Published:
    """One branch of a repository. gigabytes: the size on its card, None where the card tells none."""

    repository: str
    revision: str
    shape: Shape
    layout: Layout
    gigabytes: float | None
    file: str  # without its ending
    settings: dict[str, Any]  # quantize_config.json
    in_config: bool  # whether config.json holds them too
    metadata: dict[str, str] = field(default_factory=dict)  # of the safetensors header
    special: dict[str, int] = field(default_factory=dict)  # special tokens besides the tokenizer's own

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.revision}"


def _bigcode(repository: str, shape: Shape) -> Published:
    layout = Layout(4, -1, desc_act=True, stored_head=True)
    return Published(repository, "main", shape, layout, None, "gptq_model-4bit--1g", layout.settings(), in_config=False)


def _llama(
    repository: str, revision: str, shape: Shape, layout: Layout, gigabytes: float, version: str, **special: int
) -> Published:
    settings = {**layout.settings(), "model_name_or_path": None, "model_file_base_name": "model"}
    metadata = auto_gptq_metadata(layout, version)
    return Published(repository, revision, shape, layout, gigabytes, "model", settings, True, metadata, special)


def auto_gptq_metadata(layout: Layout, version: str) -> dict[str, str]:
    """What auto-gptq's `save_quantized` puts into a file's header from version 0.4 on."""
    return {
        "format": "pt",
        "auto_gptq_version": version,
        "gptq_bits": str(layout.bits),
        "gptq_group_size": str(layout.group_size),
        "gptq_desc_act": str(layout.desc_act),
        "gptq_damp_percent": "0.1",
    }


def _branches() -> list[Published]:
    python_13b = Llama(40, 5120, 13824, 40, 40, 32001, 16384, 1e6)
    branches_13b = [
        ("main", 4, 128, False, 7.26),
        ("gptq-4bit-32g-actorder_True", 4, 32, True, 8.00),
        ("gptq-4bit-64g-actorder_True", 4, 64, True, 7.51),
        ("gptq-4bit-128g-actorder_True", 4, 128, True, 7.26),
        ("gptq-8bit--1g-actorder_True", 8, -1, True, 13.36),
        ("gptq-8bit-128g-actorder_True", 8, 128, True, 13.65),
    ]
    branches_70b = [
        ("main", 4, -1, True, 35.33),
        ("gptq-4bit-128g-actorder_True", 4, 128, True, 36.65),
        ("gptq-4bit-32g-actorder_True", 4, 32, True, 40.66),
        ("gptq-3bit--1g-actorder_True", 3, -1, True, 26.78),
        ("gptq-3bit-128g-actorder_True", 3, 128, True, 28.03),
        ("gptq-3bit-32g-actorder_True", 3, 32, True, 31.84),
    ]
    found = [
        _bigcode("TheBloke/starcoder-GPTQ", GptBigCode(40, 6144, 48, 8192, 49152, "gelu")),
        _bigcode("TheBloke/WizardCoder-15B-1.0-GPTQ", GptBigCode(40, 6144, 48, 8192, 49153, "gelu")),
    ]
    for revision, bits, group_size, desc_act, size in branches_13b:
        layout = Layout(bits, group_size, desc_act, zero_biases=True)
        name = "TheBloke/WizardCoder-Python-13B-V1.0-GPTQ"
        found.append(_llama(name, revision, python_13b, layout, size, "0.4.2", **{"[PAD]": 32000}))
    for revision, bits, group_size, desc_act, size in branches_70b:
        layout = Layout(bits, group_size, desc_act, zero_biases=True)
        name, shape = "TheBloke/CodeLlama-70B-Instruct-GPTQ", SHAPES["codellama-70b"]
        found.append(_llama(name, revision, shape, layout, size, "0.6.0", **{"<step>": 32015}))
    return found


MISSION = {published.name: published for published in _branches()}
