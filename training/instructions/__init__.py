"""Instruction data made by program from the corpus: each example's two sides are known because one made the other.

`python -m instructions.build` (in training/) writes them. `tasks` has a file for each family of tasks; they share
`source` and `crop`. Forward: the corpus has the clumsy form, and a rewrite gives the answer. Backward: the corpus has
the clean form, which is the answer, and a rewrite makes the clumsy question.
"""
