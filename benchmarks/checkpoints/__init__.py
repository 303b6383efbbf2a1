"""Random checkpoints with the tensors, names, shapes and settings of real ones; `random_checkpoint.py` writes them."""
