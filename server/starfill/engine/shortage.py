"""Lack of a device's memory under one name, however it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

WORDS = ("out of memory", "ALLOC_FAILED")  # of the driver, and of NVIDIA's libraries: they allocate for themselves


@contextmanager
def shortage_named() -> Iterator[None]:
    """Whatever failed inside for want of memory is a torch.OutOfMemoryError, as when torch's own allocator has none.

    A capture that runs out of memory fails once more where it ends, which hides the reason.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        told: BaseException | None = error
        while told is not None:
            if isinstance(told, torch.OutOfMemoryError) or any(word in str(told) for word in WORDS):
                raise torch.OutOfMemoryError(str(told)) from error
            told = told.__context__
        raise
