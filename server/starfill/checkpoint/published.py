"""The GPTQ checkpoints that Starfill is for, as published on the hub: what an editor can offer to download."""

from __future__ import annotations

_WIZARD = "TheBloke/WizardCoder-Python-13B-V1.0-GPTQ"
_LLAMA = "TheBloke/CodeLlama-70B-Instruct-GPTQ"

PUBLISHED = {
    "TheBloke/starcoder-GPTQ": 8_910_000_000,
    "TheBloke/WizardCoder-15B-1.0-GPTQ": 8_910_000_000,
    _WIZARD: 7_260_000_000,
    f"{_WIZARD}:gptq-4bit-32g-actorder_True": 8_000_000_000,
    f"{_WIZARD}:gptq-4bit-64g-actorder_True": 7_510_000_000,
    f"{_WIZARD}:gptq-4bit-128g-actorder_True": 7_260_000_000,
    f"{_WIZARD}:gptq-8bit--1g-actorder_True": 13_360_000_000,
    f"{_WIZARD}:gptq-8bit-128g-actorder_True": 13_650_000_000,
    _LLAMA: 35_330_000_000,
    f"{_LLAMA}:gptq-4bit-128g-actorder_True": 36_650_000_000,
    f"{_LLAMA}:gptq-4bit-32g-actorder_True": 40_660_000_000,
    f"{_LLAMA}:gptq-3bit--1g-actorder_True": 26_780_000_000,
    f"{_LLAMA}:gptq-3bit-128g-actorder_True": 28_030_000_000,
    f"{_LLAMA}:gptq-3bit-32g-actorder_True": 31_840_000_000,
}
"""By name, as `hub.Repository` writes it: the bytes of the weights, to three digits."""
