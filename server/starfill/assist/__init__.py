"""Pure decisions: what to ask the model, and what of its answer to show. No LSP, no torch."""
