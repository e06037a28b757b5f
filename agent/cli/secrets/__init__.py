"""The commands on secrets in files, and what they share."""
