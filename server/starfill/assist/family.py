"""Sentinel tokens and prompt layouts of the model families, as data.

The strings are those of the published tokenizers: StarCoder (also Granite) writes `<fim_prefix>`, SantaCoder the same
with hyphens. A further family is one more row in `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from starfill.errors import CheckpointError


class Layout(str, Enum):
    """The order of prefix P, suffix S and what was typed since the anchor. See `fim`."""

    ANCHORED_PSM = "anchored-psm"
    PSM = "psm"
    SPM = "spm"


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of models was trained to fill in the middle.

    healed: the layouts whose prompt ends with the text before the cursor, so that its last word can be healed. In the
        anchored one it has to be. In SPM training cut at characters and tokenised each part on its own, so a half word
        is nothing new, but the bundled model gets five times as many lines right with it (its model card).
    """

    name: str
    prefix: str
    suffix: str
    middle: str
    end_of_text: str
    default: Layout = Layout.ANCHORED_PSM
    healed: frozenset[Layout] = frozenset({Layout.ANCHORED_PSM, Layout.SPM})

    @property
    def sentinels(self) -> tuple[str, ...]:
        return (self.prefix, self.suffix, self.middle)


FAMILIES = (
    Family("starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>"),
    Family("santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<|endoftext|>"),
)


@dataclass(frozen=True, slots=True)
class Sentinels:
    """A family as one tokenizer spells it: ids of its sentinels, and everything that must never be shown.

    stop_ids: every special token; none of them is text, so each ends a completion.
    leaks: texts which a model sometimes writes letter by letter. Not every special token: `<filename>` may be meant.
    """

    family: Family
    prefix: int
    suffix: int
    middle: int
    stop_ids: frozenset[int]
    leaks: tuple[str, ...]

    @property
    def ids(self) -> dict[str, int]:
        """The sentinels by their text."""
        return dict(zip(self.family.sentinels, (self.prefix, self.suffix, self.middle), strict=True))


def detect(special: Mapping[str, int]) -> Sentinels:
    """The family that a tokenizer's special tokens belong to; CheckpointError names the sentinels it lacks."""
    family = max(FAMILIES, key=lambda each: sum(token in special for token in each.sentinels))
    missing = [token for token in family.sentinels if token not in special]
    if missing:
        raise CheckpointError(
            f"The tokenizer has no special token {' or '.join(missing)}, so the model can't fill in the middle; "
            "use a checkpoint of a fill-in-the-middle model, with its own tokenizer.json."
        )
    return Sentinels(
        family=family,
        prefix=special[family.prefix],
        suffix=special[family.suffix],
        middle=special[family.middle],
        stop_ids=frozenset(special.values()),
        leaks=(*family.sentinels, family.end_of_text),
    )
