"""Tests with kernels that were built with the address sanitizer: python sanitized.py FOLDER PYTEST'S ARGUMENTS

FOLDER holds that library. The sanitizer's runtime must be in LD_PRELOAD.
"""

import sys
from pathlib import Path

import pytest

from starfill.engine.native import library
from starfill.engine.native.kernels import Native

kernels = library.open_library(Path(sys.argv[1]), library.INTERFACE, library.openmp_runtimes)
assert isinstance(kernels, Native), kernels
library._opened = lambda: kernels  # before anything asks for them
sys.exit(pytest.main(sys.argv[2:]))
