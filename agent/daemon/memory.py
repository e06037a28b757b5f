"""How much memory the manifests of all Applications may have, by what the container has and what the agent's children may take of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from agent.adapters.git import command, mirrors
from agent.adapters.keys import gpg_homes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.api.operator import Limits

MIB: Final = 1024 * 1024
SHIPPED: Final = 512 * MIB
"""What the agent has without its children as it is shipped."""
REST: Final = 112 * MIB
"""What it takes besides manifests: itself, records, what it knows of live objects, and one answer of a server."""
_LEAST: Final = 32 * MIB
_WAITING: Final = 8 * MIB
"""What of one command of git reads nothing from a server."""
_VOLUME: Final = 64 * MIB
"""The memory-backed volume."""
_CGROUPS: Final = "/sys/fs/cgroup"
_UNLIMITED: Final = 1 << 60
"""What cgroup v1 has for no limit is the largest number of whole pages."""


def container_limit(read: Callable[[str], str]) -> int | None:
    """The limit of this process' control group and of those that it is in, in bytes, by cgroup v1 or v2; None for none.

    `read` gives the text of a file, empty where there is none.
    """
    found = [limit for path in _files(read("/proc/self/cgroup")) if (limit := _limit(read(path))) is not None]
    return min(found, default=None)


def _files(groups: str) -> Iterator[str]:
    for line in groups.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            root, name = f"{_CGROUPS}/memory", "memory.limit_in_bytes"
        elif number == "0" and not controllers:
            root, name = _CGROUPS, "memory.max"
        else:
            continue
        # within a container the path may be that of the host, and only the root is there
        for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
            yield f"{root}{folder}/{name}".replace("//", "/")


def _limit(text: str) -> int | None:
    digits = text.strip()
    if not digits.isdecimal() or int(digits) >= _UNLIMITED:
        return None
    return int(digits)


def read(path: str) -> str:
    """The text of a file of the kernel, empty where there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return Path(path).read_text("ascii")
    return ""


def children(limits: Limits) -> int:
    """What all children of the agent and its memory-backed volume may take together."""
    gits = mirrors.WORKERS * (command.PROCESSES * limits.git_bytes + _WAITING)
    renderers = limits.render.processes * limits.render.memory_bytes
    gpgs = (gpg_homes.GPGS + gpg_homes.AGENTS) * gpg_homes.ADDRESS_SPACE
    return gits + renderers + gpgs + _VOLUME


def budget(limits: Limits, container: int | None) -> int:
    """What manifests may have: what the operator says, or what children leave of the container, at least a quarter of it up to `SHIPPED`."""
    if limits.memory_bytes is not None:
        return limits.memory_bytes
    own = SHIPPED if container is None else max(container - children(limits), min(container // 4, SHIPPED))
    return max(own - REST, _LEAST)
