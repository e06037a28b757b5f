"""Fixtures of the testbed are there for every test; a server starts when a test first asks for it."""

from hypothesis import settings

pytest_plugins = ["testbed.fixtures"]

# A loaded machine is slow now and then; pytest's own timeout ends what hangs.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
