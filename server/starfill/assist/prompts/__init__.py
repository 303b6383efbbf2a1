"""What each family of models was trained on: control tokens and chat templates, as text and as token ids."""
