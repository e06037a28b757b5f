"""Bytes to documents and back, a module for each type of file."""
