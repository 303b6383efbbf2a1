"""What each family of models was trained on: control tokens, chat templates, and both as token ids."""
