"""What the serving engines are asked and how they answer: a file for each API."""
