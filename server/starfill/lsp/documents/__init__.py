"""What is open in the editor, and what may be done with it."""
