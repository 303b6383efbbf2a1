"""`starfill demo`: a full-screen editor in the terminal, a thin client of the server in a child process."""
