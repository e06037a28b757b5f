"""What the agent counts, as Prometheus metrics in a registry of its own. Labels are names and classes, never values."""
