"""GPTQ linear layers: `reference.py` defines them, the other files compute them fast, `select.py` chooses."""
