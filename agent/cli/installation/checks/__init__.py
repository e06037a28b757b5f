"""What `agent check` looks at."""
