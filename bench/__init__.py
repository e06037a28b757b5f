"""Benchmarks against real servers, each printing a table and writing JSON. None is a test."""
