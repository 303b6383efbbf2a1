"""GPTQ linear layers: `reference.py` defines them, the kernels are fast forms of it, `select.py` chooses."""
