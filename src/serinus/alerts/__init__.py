"""Messages to chat services about what becomes of a canary."""
