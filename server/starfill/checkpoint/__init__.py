"""What is on disk: configuration, weights, tokenizer. Reads only safetensors, and never runs code in a model folder."""
