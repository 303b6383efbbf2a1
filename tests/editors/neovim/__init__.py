"""Tests in Neovim. A package, so that what they share ends with them and not with the session."""
