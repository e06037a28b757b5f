"""Fixtures of the testbed are there for every test; a server starts when a test first asks for it."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["testbed.fixtures"]

SERVERS = frozenset({"controlplane", "gitserver", "nodes", "openbao", "registry", "sops"})
"""Fixtures that start or run a program of the testbed: a test that asks for one, by whatever other fixture, is marked `servers`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


# Programs stay found in tests that move HOME.
os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))

# A loaded machine is slow now and then; pytest's own timeout ends what hangs.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

# What a shell's background or `nohup` ignores would be ignored by every process that a test starts and sends a signal to.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
