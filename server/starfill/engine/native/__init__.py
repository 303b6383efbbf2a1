"""The kernels in `kernels.c`, built when Starfill is installed where there is a C compiler; else torch computes.

They run on x86-64 with AVX2 or AVX-512, on the threads that torch has. What each computes is said in `kernels.c`.
"""
