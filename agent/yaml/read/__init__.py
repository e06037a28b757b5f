"""Bytes to trees."""
