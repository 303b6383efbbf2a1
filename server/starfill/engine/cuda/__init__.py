"""Computing on an NVIDIA GPU: Triton kernels, and passes of few rows as CUDA graphs. Only this folder imports
Triton.
"""

import os

# Allow kernels to fuse a product and a sum, which was the default before Triton 3.9 announced another one.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
