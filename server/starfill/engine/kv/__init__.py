"""KV states: of one sequence, of all documents, their memory budget, and on disk."""
