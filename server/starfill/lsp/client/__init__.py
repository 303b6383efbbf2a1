"""The client: what it can do, its settings, the values of its protocol, and the messages and questions for its user."""
