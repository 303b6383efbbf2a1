"""One file per architecture, named after `model_type` in config.json, each with the same skeleton."""
