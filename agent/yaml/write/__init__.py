"""Trees to bytes."""
