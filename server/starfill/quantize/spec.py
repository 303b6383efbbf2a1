"""The settings of a quantized checkpoint, and the files that state them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starfill.errors import SettingsError

BITS = (3, 4, 8)
WEIGHTS_NAME = "model"  # the one name that auto-gptq, gptqmodel and transformers all look for


@dataclass(frozen=True, slots=True)
class Spec:
    """How to quantize.

    group_size: input features that share a scale, -1 for all of them. damp: added to the Hessian's diagonal, as a share
    of its mean.
    """

    bits: int = 4
    group_size: int = 128
    desc_act: bool = True
    sym: bool = True
    damp: float = 0.01
    checkpoint_format: str = "gptq"  # stores zero - 1; "gptq_v2": the zero itself

    def __post_init__(self) -> None:
        """Raises SettingsError naming the option that can't be used."""
        if self.bits not in BITS:
            raise SettingsError(f"--bits {self.bits} is not supported: choose 3, 4 or 8")
        if self.group_size == 0 or self.group_size < -1:
            raise SettingsError(f"--group-size {self.group_size} is not valid: it is -1 or a positive number")
        if not 0 < self.damp < 1:
            raise SettingsError(f"--damp {self.damp} is not valid: it lies between 0 and 1, like 0.01")

    def groups(self, in_features: int) -> int:
        return 1 if self.group_size == -1 else in_features // self.group_size

    def check(self, linears: Mapping[str, tuple[int, int]]) -> None:
        """linears: name -> (in, out) features. Raises SettingsError naming the first that can't be quantized in this
        way.
        """
        for name, (rows, columns) in linears.items():
            if rows % 32 or columns % 32:
                raise SettingsError(
                    f"{name} has {rows} x {columns} features, and GPTQ packs multiples of 32: this model can't be"
                    " quantized"
                )
            if self.group_size != -1 and rows % self.group_size:
                fitting = [size for size in (128, 64, 32) if all(k % size == 0 for k, _ in linears.values())]
                choice = " or ".join(map(str, [*fitting, -1]))
                raise SettingsError(
                    f"--group-size {self.group_size} does not divide the {rows} input features of {name}:"
                    f" choose {choice}"
                )

    def settings(self, name: str) -> dict[str, Any]:
        """quantize_config.json. auto-gptq and gptqmodel ignore the keys that only the other one knows."""
        return {
            "bits": self.bits,
            "group_size": self.group_size,
            "damp_percent": self.damp,
            "desc_act": self.desc_act,
            "static_groups": False,
            "sym": self.sym,
            "true_sequential": True,
            "model_name_or_path": name,
            "model_file_base_name": WEIGHTS_NAME,
            "quant_method": "gptq",
            "checkpoint_format": self.checkpoint_format,
        }
