"""llama.cpp's programs, built from the llama-cpp-python source package of a pinned version: python -m peers.llama_build

It takes about ten minutes on two cores. Everything lies under build/peers, which git ignores.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

VERSION = "0.3.36"  # of llama-cpp-python, which holds llama.cpp 0.5.0
BUILD = Path(__file__).parents[2] / "build" / "peers"
SOURCES = BUILD / f"llama_cpp_python-{VERSION}"
PROGRAMS = BUILD / f"llama.cpp-{VERSION}" / "bin"
TARGETS = ("llama-server", "llama-bench", "llama-quantize")
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "GGML_NATIVE": "ON",  # for this very processor
    "BUILD_SHARED_LIBS": "OFF",
    "GGML_CCACHE": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
}


def program(name: str) -> Path:
    """The path of one of TARGETS; SystemExit says how to build it."""
    path = PROGRAMS / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: `make bench-peers` builds it, which takes about ten minutes")
    return path


def build() -> None:
    """What is there already isn't built again."""
    BUILD.mkdir(parents=True, exist_ok=True)
    if not SOURCES.exists():
        _download()
    if all((PROGRAMS / name).exists() for name in TARGETS):
        return
    folder = PROGRAMS.parent
    options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
    source = SOURCES / "vendor" / "llama.cpp"
    subprocess.run(["cmake", "-S", source, "-B", folder, *options], check=True)
    subprocess.run(["cmake", "--build", folder, "--parallel", "--target", *TARGETS], check=True)


def _download() -> None:
    wanted = f"llama-cpp-python=={VERSION}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python"]
    subprocess.run([*command, "--dest", BUILD, wanted], check=True)
    with tarfile.open(next(BUILD.glob(f"*-{VERSION}.tar.gz"))) as archive:
        archive.extractall(BUILD, filter="data")


if __name__ == "__main__":
    build()
