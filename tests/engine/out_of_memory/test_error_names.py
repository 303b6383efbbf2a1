"""Lack of memory has one name."""

from __future__ import annotations

import pytest
import torch

from engine.toy import INFO, PLENTY, Toy, alone, answer, prompt
from starfill.engine.local_engine import LocalEngine
from starfill.engine.out_of_memory import naming_out_of_memory
from starfill.jobs import Job


def raised(*errors: Exception) -> None:
    """The last of them, while the ones before were on their way."""
    *before, last = errors
    try:
        if before:
            raised(*before)
    finally:
        raise last


SHORT = [
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),),
    (RuntimeError("CUDA error: out of memory"),),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),),
    (torch.OutOfMemoryError("2 GiB"), RuntimeError("operation failed due to a previous error during capture")),
    (torch.OutOfMemoryError("2 GiB"), ValueError("a handler's own"), RuntimeError("capture")),
]
OTHER = [
    (RuntimeError("CUDA error: an illegal memory access was encountered"),),
    (ValueError("out of memory"),),
    (ValueError("2 GiB"), RuntimeError("capture")),
]


@pytest.mark.parametrize("errors", SHORT, ids=repr)
def test_what_is_a_shortage(errors: tuple[Exception, ...]) -> None:
    with pytest.raises(torch.OutOfMemoryError), naming_out_of_memory():
        raised(*errors)


@pytest.mark.parametrize("errors", OTHER, ids=repr)
def test_what_is_not(errors: tuple[Exception, ...]) -> None:
    with pytest.raises(type(errors[-1])) as caught, naming_out_of_memory():
        raised(*errors)
    assert caught.value is errors[-1]


def test_a_job_goes_on_where_a_library_tells_of_it() -> None:
    errors = [RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")]

    def fail() -> None:
        if errors:
            raise errors.pop()

    engine, job = LocalEngine(Toy(before=fail, on_device=True), INFO, PLENTY), Job("a", prompt(100), 5)
    try:
        assert answer(engine, job).candidates == alone(job)
        assert not errors
    finally:
        engine.close()
