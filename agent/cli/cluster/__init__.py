"""The cluster as the user reaches it, and what it reports of Applications."""
