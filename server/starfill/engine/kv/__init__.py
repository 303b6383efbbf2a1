"""The key/value states: one sequence's, all documents', their budget, and those on disk."""
