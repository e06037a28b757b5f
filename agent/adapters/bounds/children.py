"""Limits that a child inherits and hands on to its own: address space and processor time, set by a shell before it becomes the program.

The kernel ends a whole container when all of it together is over its limit (cgroup v2), so a child has to fail by itself before that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "1"}
"""Goes with the limits: else glibc reserves 64 MiB of address space for each thread."""

_GRACE: Final = 2
"""Seconds of processor time between SIGXCPU and SIGKILL."""
_SCRIPT: Final = """\
for limit in "-v $1" "-S -t $2" "-H -t $3"; do ulimit $limit 2>/dev/null; done
shift 3
exec "$@"
"""
"""A limit that cannot be set is one that is tighter already."""


def environment() -> dict[str, str]:
    """That of this process, for a child that is bounded."""
    return {**os.environ, **ENVIRONMENT}


def bounded(command: Sequence[str], *, address_space: int, cpu_seconds: int) -> list[str]:
    """`command` with at most `address_space` bytes and `cpu_seconds` of processor time for each of its processes."""
    limits = (str(address_space // 1024), str(cpu_seconds), str(cpu_seconds + _GRACE))
    return ["/bin/sh", "-c", _SCRIPT, "sh", *limits, *command]
