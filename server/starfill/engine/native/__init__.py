"""The kernels in `kernels.c`. They are built when Starfill is installed, if there is a C compiler; without them torch
computes.

They need x86-64 with AVX2 or AVX-512, and run on torch's threads. `kernels.c` describes what each one computes.
"""
