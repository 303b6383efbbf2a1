"""Running code that nobody has read. `run.py` starts a process for it, which begins with `guard.py`."""
