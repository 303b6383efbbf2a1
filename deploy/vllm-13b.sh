#!/bin/sh
# WizardCoder-Python-13B, GPTQ at 4 bits, on one GPU of 24 GB or more. Not run: see README.md. Needs vllm; VLLM_API_KEY is the key.
set -eu
exec vllm serve "${MODEL:-TheBloke/WizardCoder-Python-13B-V1.0-GPTQ}" \
    --revision "${REVISION:-main}" \
    --host 127.0.0.1 --port "${PORT:-8000}" \
    --dtype half \
    --max-model-len "${CONTEXT:-4096}" \
    --max-num-seqs 64 \
    --gpu-memory-utilization 0.90 \
    --enable-prefix-caching \
    --enable-chunked-prefill --max-num-batched-tokens 2048 \
    --enable-prompt-tokens-details \
    --generation-config vllm
