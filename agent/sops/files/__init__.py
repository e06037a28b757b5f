"""Whole files: encrypted, opened, sealed and verified."""
