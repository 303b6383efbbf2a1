"""The fourteen checkpoints that Starfill is for, with random weights: sizes as published, and they load and run."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from checkpoints import tokenizers
from checkpoints.files import file_size
from checkpoints.layout import Layout, entries
from checkpoints.mission import MISSION, Published, auto_gptq_metadata
from checkpoints.random_checkpoint import write_published
from checkpoints.shapes import SHAPES, GptBigCode, Llama
from memory_table import table
from starfill.app.backend import LocalBackend
from starfill.checkpoint.config import read_config
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.config.settings import Settings
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.loading.inspect import inspect
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.models.decoder import Decoder
from starfill.text.document import Document

ALL = pytest.mark.parametrize("published", MISSION.values(), ids=list(MISSION))
DOCUMENTED = Path(__file__).parents[3] / "docs/models.md"
GIGABYTES_15B = 8.91  # their cards tell no size; that of an upload with group_size 128 is known, see below


def test_there_are_fourteen() -> None:
    assert len(MISSION) == 14


@ALL
def test_the_file_has_the_size_on_the_card(published: Published) -> None:
    size = file_size(entries(published.shape, published.layout), published.metadata)
    assert round(size / 1e9, 2) == (published.gigabytes or GIGABYTES_15B)


def test_files_of_known_size_are_met_to_the_byte() -> None:
    wizard = MISSION["TheBloke/WizardCoder-15B-1.0-GPTQ:main"]
    assert file_size(entries(wizard.shape, replace(wizard.layout, group_size=128)), {}) == 9_198_428_896
    for group_size, size in ((-1, 13_361_903_336), (128, 13_652_883_824)):  # MythoMax-L2-13B, the same quantizer
        layout = Layout(8, group_size, desc_act=True, zero_biases=True)
        metadata = auto_gptq_metadata(layout, "0.4.2")
        assert file_size(entries(SHAPES["codellama-13b-python"], layout), metadata) == size
    genz_70b = replace(SHAPES["codellama-70b"], vocab_size=32000)
    layout = Layout(3, 128, desc_act=True, zero_biases=True)
    size = file_size(entries(genz_70b, layout), auto_gptq_metadata(layout, "0.4.2"))
    assert abs(size - 28_029_117_672) <= 160  # a header that is a little longer


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("starcoderbase-1b", 1_137_207_296),
        ("starcoder-15b", 15_517_456_384),
        ("starcoder2-3b", 3_030_371_328),
        ("starcoder2-7b", 7_173_923_840),
        ("starcoder2-15b", 15_957_889_024),
        ("tinyllama-1.1b", 1_100_048_384),
        ("codellama-7b", 6_738_546_688),
        ("codellama-13b-python", 13_015_864_320),
        ("deepseek-coder-1.3b", 1_346_471_936),
        ("qwen2.5-coder-1.5b", 1_543_714_304),
    ],
)
def test_shapes_have_the_published_number_of_parameters(name: str, parameters: int) -> None:
    assert sum(entry.nbytes for entry in entries(SHAPES[name], Layout(bits=0)).values()) == 4 * parameters


@ALL
@pytest.mark.skipif(os.name == "nt", reason="needs files with holes")
def test_inspect_tells_the_size_on_the_card(published: Published, tmp_path: Path) -> None:
    folder = write_published(tmp_path, published, sparse=True)
    facts = {fact.key: fact.value for fact in inspect(folder)}
    expected = (published.gigabytes or GIGABYTES_15B) * 1e9
    assert facts["weightBytes"] == pytest.approx(expected, rel=0.02)
    assert facts["files"] == [f"{published.file}.safetensors"]
    layout = published.layout
    order = "desc_act" if layout.desc_act else "no desc_act"
    assert str(facts["quantization"]).startswith(f"GPTQ {layout.bits}-bit, group_size {layout.group_size}, {order}")


def test_the_table_of_what_they_need_is_documented() -> None:
    text = DOCUMENTED.read_text(encoding="utf-8")
    begin, end = "<!-- models:begin -->\n", "\n<!-- models:end -->"
    assert begin in text and end in text, "docs/models.md has no block for the models"
    assert text.split(begin)[1].split(end)[0].strip() == table(), "run `python benchmarks/memory_table.py`"


def narrowed(published: Published) -> Published:
    """Two layers, the same tensors and settings, a small width, a vocabulary as odd or even as the real one."""
    shape = published.shape
    if isinstance(shape, GptBigCode):
        odd = shape.vocab_size % 2
        small = replace(shape, n_layer=2, n_embd=384, n_head=6, n_positions=512, vocab_size=512 + odd)
        return replace(published, shape=small)
    assert isinstance(shape, Llama)
    groups = shape.num_attention_heads // shape.num_key_value_heads
    small_llama = replace(
        shape,
        num_hidden_layers=2,
        hidden_size=512,
        intermediate_size=1408,
        num_attention_heads=8,
        num_key_value_heads=8 // groups,
        vocab_size=800 + shape.vocab_size % 32,
    )
    return replace(published, shape=small_llama)


@ALL
@torch.inference_mode()
def test_it_loads_and_runs(published: Published, tmp_path: Path) -> None:
    small = narrowed(published)
    config = read_config(write_published(tmp_path, small))
    assert config.quantization is not None
    settings = config.quantization
    layout = small.layout
    assert (settings.bits, settings.group_size, settings.desc_act) == (layout.bits, layout.group_size, layout.desc_act)
    loaded = load_model(OpenedCheckpoint.of(config), torch.device("cpu"))
    assert loaded.info.kernel == "native-int16"
    ids = torch.arange(3, 200)
    cold = logits(loaded.model, ids)
    assert torch.isfinite(cold).all()
    assert cold.std() > 0.01
    assert torch.equal(logits(loaded.model, ids[:130], ids[130:131], ids[131:]), cold), "warm is not cold"
    decode(loaded.model, ids[:20])


@pytest.mark.parametrize(
    "name", ["WizardCoder-15B-1.0-GPTQ", "WizardCoder-Python-13B-V1.0-GPTQ", "CodeLlama-70B-Instruct-GPTQ"]
)
def test_each_kind_completes_in_an_editor(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write_published(tmp_path / name, narrowed(MISSION[f"TheBloke/{name}:main"]))
    assistant = LocalBackend().load(Settings(model=str(folder), max_new_tokens=4))
    try:
        text = "def f(values):\n    return "
        document = Document.open("file:///a.py", "python", 1, text + "\n")
        completion = asyncio.run(assistant.complete(document, len(text)))
    finally:
        assistant.close()
    assert completion.figures.generated_tokens > 0, completion.figures


@pytest.mark.parametrize("text", ["def f(self):\n    return name", "x", "  größe = '日本'\t# <s>"])
def test_the_stand_in_tokenizer_spells_text_as_llama_does(text: str) -> None:
    raw = tokenizers.sentencepiece(600, {"<step>": 599})
    tokenizer = CheckpointTokenizer(raw, Path("tokenizer.json"), 600)
    assert (tokenizer.special["<s>"], tokenizer.special["<step>"]) == (1, 599)
    spelled = b"".join(tokenizer.token_bytes[id] for id in tokenizer.encode(text)).decode()
    assert spelled.removeprefix(" ").lstrip() == text.lstrip()
    assert not {1, 599} & set(tokenizer.encode(text))


def logits(model: Decoder, *chunks: torch.Tensor) -> torch.Tensor:
    cache = KVCache(model.kv_shape)
    return torch.cat([model(chunk, cache, last=len(chunk)) for chunk in chunks])


def decode(model: Decoder, prompt: torch.Tensor) -> None:
    """Greedy decoding with a state gives the tokens that computing everything anew gives."""
    cache = KVCache(model.kv_shape)
    ids, fed = prompt, prompt
    for _ in range(5):
        warm = model(fed, cache, last=1)
        assert torch.equal(warm, logits(model, ids)[-1:])
        fed = warm.argmax(-1)
        ids = torch.cat([ids, fed])
