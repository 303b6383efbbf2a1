"""Source code as a syntax tree, or as brackets and indentation."""
