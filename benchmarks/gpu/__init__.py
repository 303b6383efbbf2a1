"""What Starfill reaches on an NVIDIA GPU, beside what that GPU could; `bench_gpu.py` is the command."""
