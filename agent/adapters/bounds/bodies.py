"""How much of a server's answer is read, whichever client reads it. `answers` bounds those of requests, which is loaded where it is used."""

from __future__ import annotations

import json
from typing import Any, Final

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of one answer's body."""
VALUES: Final = 400_000
"""Values in one answer's JSON: each takes some hundred bytes when it is read, were it two bytes long."""


class TooLargeError(OSError):
    """The answer is larger than `LARGEST`, or has more than `VALUES`."""


def tree(body: bytes) -> Any:
    """What JSON says; None for what is none. Raises TooLargeError for more values than `VALUES`."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > VALUES:
        raise TooLargeError
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
