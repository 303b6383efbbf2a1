"""Computes: token ids in, token ids out. Knows no text and no URIs."""
