"""Code actions: listed without asking a model, carried out when they are resolved or run as commands, then applied or
shown.
"""
