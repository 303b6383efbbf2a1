"""Running code that nobody has read: `run.py` starts a process for it, `guard.py` is what that process begins with."""
