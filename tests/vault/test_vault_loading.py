"""An agent without stores does without what asks them: hvac and requests take memory and a tenth of the start."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
import agent.daemon.process
print(*sorted({"hvac", "requests", "urllib3"} & set(sys.modules)))
from agent.adapters.vault.stores import Stores
from agent.api import model
from agent.api.operator import Store
fields = {"address": "https://127.0.0.1:1", "auth": {"tokenFile": "/none"}, "allowedPaths": ["kv/**"], "allowedNamespaces": ["*"]}
settings = model.validate(Store, fields)
Stores({"main": settings} if sys.argv[1] == "one" else {}, monotonic=float, jitter=float)
print(*sorted({"hvac", "requests", "urllib3"} & set(sys.modules)))
"""


def loaded(stores: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", LOADED, stores], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_clients_of_stores_are_loaded_with_the_first_store() -> None:
    assert loaded("none") == ["", ""]
    assert loaded("one") == ["", "hvac requests urllib3"]
