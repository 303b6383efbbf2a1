"""Instruction code actions: listed without the model, carried out when resolved or commanded, applied or shown."""
