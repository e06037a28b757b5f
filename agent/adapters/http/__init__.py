"""What the agent serves: probes and metrics."""
