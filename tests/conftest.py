"""Fixtures of the testbed are there for every test; a server starts when a test first asks for it."""

pytest_plugins = ["testbed.fixtures"]
