"""Documents, positions and edits. Pure; imports nothing else of ours."""
