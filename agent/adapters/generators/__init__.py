"""Passwords, keys and certificates that charts ask for, as sprig 3.3 makes them."""

from agent.adapters.generators.making import Generators

__all__ = ["Generators"]
