"""What each file gets for itself: its data key, and the time."""

from __future__ import annotations

import os
import time

from agent.values.secret import Secret


def data_key() -> Secret:
    # Only here, since `keygen` makes none.
    from agent.sops.format.cipher import DATA_KEY_SIZE

    return Secret(os.urandom(DATA_KEY_SIZE), "new data key")


def now() -> str:
    """RFC 3339, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
