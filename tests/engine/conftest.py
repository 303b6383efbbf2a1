from __future__ import annotations

import pytest

from starfill.engine.native.kernels import Native
from starfill.engine.native.library import native, why_not


@pytest.fixture(params=[512, 256], ids=["avx512", "avx2"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Native:
    found = native()
    if found is None:
        pytest.skip(str(why_not()))
    if request.param > found.isa:
        pytest.skip("this processor has no AVX-512 with VNNI")
    monkeypatch.setattr(found, "isa", request.param)
    return found
