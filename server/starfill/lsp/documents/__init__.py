"""The open documents, and what may be done with them."""
