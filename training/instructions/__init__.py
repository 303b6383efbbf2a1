"""Instruction data made by program from the corpus: each example's two sides are known because one made the other.

`python -m instructions.build` (in training/) writes them. One file for each family of tasks; `source` and `crop` are
what they share. Forward: the corpus holds the clumsy form, and a rewrite gives the answer. Backward: the corpus holds
the clean form, which is the answer, and a rewrite makes the clumsy question.
"""
