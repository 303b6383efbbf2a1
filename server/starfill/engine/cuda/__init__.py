"""What an NVIDIA GPU computes with: Triton kernels, and passes of few rows as CUDA graphs. Triton stays in here."""

import os

# Kernels may fuse a product and a sum, as they could before Triton 3.9 began to announce another default.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
