"""Ten characters a second for a minute: no key is lost, nothing unasked is inserted, memory stays flat."""

from __future__ import annotations

import pytest

from editors.neovim.conftest import WAYS
from editors.neovim.typist import CODE, Typist
from editors.screen import until

GROWTH = 16_000  # kB, of either process


@pytest.mark.parametrize("way", WAYS)
def test_a_minute_of_typing(typists: dict[str, Typist], way: str) -> None:
    typist = typists[way]
    nvim = typist.nvim
    warm, last = until(lambda: len(memory := typist.memory()) == 2 and memory, "the last key")
    nvim.until_lines(CODE.split("\n"))
    assert nvim.save() == CODE + "\n"
    statistics = nvim.statistics()
    assert statistics["asked"] > 10 and statistics["accepted"] == 0
    assert all(after - before < GROWTH for before, after in zip(warm, last, strict=True)), (warm, last)
    assert nvim.quit() == 0
