"""Making GPTQ checkpoints: calibration text, a model filled layer by layer, a solver, and the folder that results.

`make.py` puts them together. `cli/quantize.py` is its command.
"""
