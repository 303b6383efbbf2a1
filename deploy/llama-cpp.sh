#!/bin/sh
# llama.cpp's server on a CPU: llama-cpp.sh MODEL.gguf [OPTION...]. README.md has the reasons.
set -eu
model=$1
shift
slots=${SLOTS:-8}
context=${CONTEXT:-2048}
exec "${LLAMA_SERVER:-llama-server}" --model "$model" \
    --host 127.0.0.1 --port "${PORT:-8080}" \
    --parallel "$slots" --ctx-size "$((slots * context))" --no-kv-unified \
    --threads "${THREADS:-$(nproc)}" \
    --batch-size 256 --ubatch-size 256 \
    --metrics \
    "$@"
