"""Fixtures of the testbed are there for every test; a server starts when a test first asks for it."""

import os
from pathlib import Path

from hypothesis import settings

pytest_plugins = ["testbed.fixtures"]

# Programs stay found in tests that move HOME.
os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))

# A loaded machine is slow now and then; pytest's own timeout ends what hangs.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
