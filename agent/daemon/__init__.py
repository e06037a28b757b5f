"""The composition root of `agent run`: settings → wired agent → running process."""
