"""What any room may use: no torch, no protocol, nothing of ours but errors."""
