"""The cluster as the user reaches it, and what it tells of Applications."""
