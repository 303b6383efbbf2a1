#!/bin/sh
# CodeLlama-70B-Instruct, GPTQ at 4 bits, on 2 GPUs of 48 GB or 4 of 24 GB. Not run: see README.md. VLLM_API_KEY is the key.
#
# Over several machines: first `ray start --head --port=6379` on this one and `ray start --address=HEAD:6379` on the others,
# all with the same Python, vLLM and model files; then this script here, with MACHINES set. Ray has no key of its own:
# its ports belong into a private network.
set -eu
machines=${MACHINES:-1}
if [ "$machines" -gt 1 ]; then
    set -- --pipeline-parallel-size "$machines" --distributed-executor-backend ray "$@"
fi
exec vllm serve "${MODEL:-TheBloke/CodeLlama-70B-Instruct-GPTQ}" \
    --revision "${REVISION:-main}" \
    --host 127.0.0.1 --port "${PORT:-8000}" \
    --dtype half \
    --tensor-parallel-size "${GPUS:-2}" \
    --max-model-len "${CONTEXT:-4096}" \
    --max-num-seqs 32 \
    --gpu-memory-utilization 0.90 \
    --enable-prefix-caching \
    --enable-chunked-prefill --max-num-batched-tokens 2048 \
    --enable-prompt-tokens-details \
    --generation-config vllm \
    "$@"
