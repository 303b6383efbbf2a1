"""Opening the library of kernels. It must be built from these sources, run on this processor, and share one OpenMP
runtime with torch.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from starfill.engine.native.kernels import Native
from starfill.engine.native.structs import STRUCTS

LIBRARY = "_kernels"
INTERFACE = 4  # as in kernels.c; another number means that the library was built from older or newer sources
AGAIN = "install Starfill again"


@cache
def native() -> Native | None:
    """The kernels; None if they weren't built, can't run, or are turned off (STARFILL_NATIVE=0)."""
    found = _opened()
    return found if isinstance(found, Native) else None


def why_not() -> str | None:
    """Why `native` is None, for `starfill doctor`."""
    found = _opened()
    return found if isinstance(found, str) else None


@cache
def _opened() -> Native | str:
    return open_library(Path(__file__).parent, INTERFACE, openmp_runtimes)


def open_library(
    folder: Path,
    interface: int,
    runtimes: Callable[[], set[str]],
    structs: Sequence[type[ctypes.Structure]] = STRUCTS,
) -> Native | str:
    """The kernels in a folder, or why there are none. runtimes: see `openmp_runtimes`; called after loading.

    structs: the structures that are handed over, in Python's layout.
    """
    if os.environ.get("STARFILL_NATIVE") == "0":
        return "turned off by STARFILL_NATIVE=0"
    paths = [folder / (LIBRARY + suffix) for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return f"not built: {AGAIN} where there is a C compiler"
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        return f"{path.name} can't be loaded: {error}"
    if not hasattr(library, "starfill_interface") or library.starfill_interface() != interface:
        return f"built from other sources: {AGAIN}"
    if sizes_in(library) != [ctypes.sizeof(struct) for struct in structs]:
        return f"its structures have other sizes than here: {AGAIN}"
    if not (isa := library.starfill_isa()):
        return "this processor has no AVX2"
    if len(runtimes()) > 1:
        # Two pools of threads share the cores, so libgomp lets its threads sleep between operations.
        return "torch brings another OpenMP runtime than the one that the kernels were built for"
    return Native(library, isa)


def sizes_in(library: ctypes.CDLL) -> list[int]:
    """The size of each structure in bytes, as the C compiler has it."""
    count = library.starfill_sizes(None)
    sizes = (ctypes.c_int32 * count)()
    library.starfill_sizes(sizes)
    return list(sizes)


def openmp_runtimes() -> set[str]:
    """The OpenMP libraries that are mapped into this process."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return set(re.findall(r"\S*/lib(?:gomp|iomp5|omp)[\w.-]*\.so[\w.]*", maps))
