"""The sources of signet-render, in Go, and how it is built."""
