"""The tasks: for each kind of instruction, how its examples are made from a corpus."""
