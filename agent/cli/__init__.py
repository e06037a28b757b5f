"""The `agent` command: one module for each of its commands, one that prints, and one that may reveal."""
