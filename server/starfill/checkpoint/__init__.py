"""What is on disk: configuration, weights, tokenizer. Only safetensors; code in a model folder is never run."""
